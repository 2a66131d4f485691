"""Mutated model files through ``check_model``; tests/soak has the same by the thousand."""

from __future__ import annotations

import pytest

import headrace
from headrace import CheckLimits, CheckOutcome, CheckVerdict
from tests.support import hostile, mutations, raw_gguf, tiny_gguf

pytest.importorskip("headrace_subprocess")


def _check(tmp_path, data, **limits):
    path = tmp_path / "file.gguf"
    path.write_bytes(data)
    return headrace.check_model(path, backend="llamacpp", limits=CheckLimits(**limits))


@pytest.mark.parametrize("kind", hostile.MODELS)
def test_the_parts_of_a_file_make_the_same_file(kind):
    """Else every mutation would be one of the reader's."""
    path = tiny_gguf.path(kind)
    assert raw_gguf.RawGguf.read(path).build() == path.read_bytes()


def test_a_mutation_is_the_same_each_time():
    """And another one for another seed."""
    path = tiny_gguf.path("attention")
    for kind in mutations.KINDS:
        assert mutations.mutated(path, kind, 7) == mutations.mutated(path, kind, 7)
        assert len({mutations.mutated(path, kind, seed) for seed in range(30)}) > 2


def test_a_few_hundred_files_of_all_kinds(tmp_path):
    """Each gets a verdict; nothing happens to this process."""
    kinds = [kind for kind in mutations.KINDS if kind != "template"]
    tally = hostile.check_files(hostile.cases(210, kinds), tmp_path)
    assert tally.files == 210
    assert all(
        each["damaged"] + each["unusable"] + each["dangerous"] + each["fit"] == 10
        for each in tally.verdicts.values()
    )
    for kind in ("truncate", "huge_counts", "garbage"):
        assert tally.verdicts[kind]["fit"] == 0


def test_a_sound_file_is_fit(tmp_path):
    """Every stage passes; with a template, it is rendered."""
    data = mutations.with_template(tiny_gguf.path("attention"), "sound")
    found = _check(tmp_path, data)
    assert found.verdict is CheckVerdict.FIT
    assert {each.outcome for each in found.stages} == {CheckOutcome.PASSED}
    names = [each.name for each in found.stages]
    assert names == [
        "header",
        "metadata",
        "tensors",
        "vocabulary",
        "load",
        "tokens",
        "chat template",
    ]


def test_what_is_wrong_is_said_where_it_is(tmp_path):
    """The stage, the error's class, and the reason."""
    raw = raw_gguf.RawGguf.read(tiny_gguf.path("attention"))
    raw.n_tensors = 2**40
    found = _check(tmp_path, raw.build())
    assert (found.verdict, found.problem.name) == (CheckVerdict.DAMAGED, "header")
    assert "do not fit" in found.problem.message
    raw.n_tensors = None
    del raw.data[-1000:]
    found = _check(tmp_path, raw.build())
    assert (found.problem.name, found.problem.error) == ("tensors", "ModelFormatError")
    raw = raw_gguf.RawGguf.read(tiny_gguf.path("attention"))
    raw.data[400:404] = b"\x00\x00\xc0\x7f"
    found = _check(tmp_path, raw.build())
    assert (found.verdict, found.problem.name) == (CheckVerdict.DAMAGED, "load")


@pytest.mark.parametrize("name", ["endless", "exponential", "long"])
def test_a_template_that_does_not_end_is_ended(tmp_path, name):
    """Within its limits of time and memory; the other stages have passed by then."""
    data = mutations.with_template(tiny_gguf.path("attention"), name)
    found = _check(tmp_path, data, template_seconds=0.5)
    assert found.verdict in (CheckVerdict.DANGEROUS, CheckVerdict.DAMAGED)
    assert found.problem.name == "chat template"
    assert [each.outcome for each in found.stages[:-1]] == [CheckOutcome.PASSED] * 6
    if name == "endless":
        assert found.problem.outcome is CheckOutcome.HUNG
