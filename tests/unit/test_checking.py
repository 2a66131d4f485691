"""The stages of a check, run in this process on files that do not end it; verdicts and limits."""

from __future__ import annotations

import pytest

import headrace
from headrace import CheckLimits, CheckOutcome, CheckStage, CheckVerdict, ModelCheck
from headrace.backend.abilities import FileStage
from headrace.errors import BackendNotFoundError, ModelFormatError, ParamsError, UnsupportedError
from headrace.inspection.check import run_stages
from headrace.results.check import verdict_of


def _stages(backend, path="fake:Hello"):
    begun = []
    found = list(run_stages(backend, path, begun.append))
    return found, begun


class _Looking:
    """A fake that looks at the file first."""

    def __init__(self, *outcomes: Exception | str) -> None:
        self._fake = headrace.backends()["fake"]
        self._outcomes = outcomes
        self.name = "fake"

    def __getattr__(self, name):
        return getattr(self._fake, name)

    def file_stages(self, path):
        def run(outcome):
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        before = None
        for number, outcome in enumerate(self._outcomes):
            yield FileStage(f"look {number}", before, lambda outcome=outcome: run(outcome))
            before = f"look {number}"

    def has_chat_template(self, model):
        return False


def test_every_backend_has_three_stages():
    """The model is loaded, writes a few tokens and renders a conversation."""
    found, begun = _stages(headrace.backends()["fake"])
    assert [(each.name, each.outcome) for each in found] == [
        ("load", CheckOutcome.PASSED),
        ("tokens", CheckOutcome.PASSED),
        ("chat template", CheckOutcome.PASSED),
    ]
    assert begun == [each.name for each in found]
    assert found[1].message == "4 tokens"


def test_a_stage_that_lacks_what_it_needs_is_not_run():
    """Nor is it announced: what is announced may be the last thing that is heard."""
    found, begun = _stages(_Looking("fine", ModelFormatError("bad"), "never"))
    assert begun == ["look 0", "look 1"]
    assert [each.outcome.value for each in found] == ["passed", "failed", *["skipped"] * 4]
    assert (found[1].error, found[1].message) == ("ModelFormatError", "bad")
    assert "look 1" in found[2].message


def test_a_model_without_a_template_has_none_rendered():
    """It is no fault of the file."""
    found, _ = _stages(_Looking("fine"))
    assert found[-1].outcome is CheckOutcome.SKIPPED
    assert verdict_of(found) is CheckVerdict.FIT


def test_what_a_backend_raises_by_mistake_is_a_result_too():
    """Whatever it is."""
    found, _ = _stages(_Looking(KeyError("x")))
    assert (found[0].outcome, found[0].error) == (CheckOutcome.FAILED, "KeyError")


@pytest.mark.parametrize(
    ("stages", "verdict"),
    [
        ([], CheckVerdict.FIT),
        ([(CheckOutcome.PASSED, None), (CheckOutcome.SKIPPED, None)], CheckVerdict.FIT),
        ([(CheckOutcome.FAILED, "UnsupportedError")], CheckVerdict.UNUSABLE),
        ([(CheckOutcome.FAILED, "ModelMemoryError")], CheckVerdict.UNUSABLE),
        (
            [(CheckOutcome.FAILED, "ModelLoadError"), (CheckOutcome.FAILED, "TemplateError")],
            CheckVerdict.DAMAGED,
        ),
        ([(CheckOutcome.FAILED, "KeyError"), (CheckOutcome.HUNG, None)], CheckVerdict.DANGEROUS),
        ([(CheckOutcome.CRASHED, "BackendCrashedError")], CheckVerdict.DANGEROUS),
    ],
)
def test_the_verdict_is_the_worst_that_a_stage_speaks_for(stages, verdict):
    """And the problem is that stage."""
    made = tuple(
        CheckStage(name=f"s{number}", outcome=outcome, error=error)
        for number, (outcome, error) in enumerate(stages)
    )
    assert verdict_of(list(made)) is verdict
    found = ModelCheck(path="x", backend="fake", verdict=verdict, stages=made, seconds=0)
    assert found.fit is (verdict is CheckVerdict.FIT)
    assert found.problem is (None if found.fit else made[-1])


@pytest.mark.parametrize(
    "wrong",
    [{"memory_bytes": 1}, {"cpu_seconds": 0}, {"stage_seconds": 0}, {"template_second": 1}],
)
def test_limits_are_checked(wrong):
    """Names and values."""
    with pytest.raises(ParamsError, match=next(iter(wrong))):
        CheckLimits(**wrong)


def test_without_a_host_it_says_what_to_install(monkeypatch):
    """Nothing is looked at in this process instead."""
    monkeypatch.setattr("headrace.loading.isolation.PROCESS", "none_such")
    with pytest.raises(BackendNotFoundError, match="check_model needs a host") as caught:
        headrace.check_model("fake:Hello")
    assert "headrace-subprocess" in caught.value.hint


def test_a_file_that_no_backend_knows_is_unusable(tmp_path):
    """A value, too: it is the file that is wrong."""
    path = tmp_path / "notes.txt"
    path.write_text("no model")
    found = headrace.check_model(path)
    assert (found.verdict, found.backend) == (CheckVerdict.UNUSABLE, None)
    assert found.problem.error == "BackendNotFoundError"


def test_misuse_is_raised(tmp_path):
    """A path that is none, a file that is not there, settings of another kind."""
    with pytest.raises(ParamsError):
        headrace.check_model(3)
    with pytest.raises(headrace.ModelNotFoundError):
        headrace.check_model(tmp_path / "absent.bin")
    with pytest.raises(ParamsError, match="limits"):
        headrace.check_model("fake:Hello", limits={"memory_bytes": 2**30})


def test_a_model_on_other_machines_needs_a_process_of_its_own():
    """The error names both fields."""
    with pytest.raises(ParamsError, match=r"rpc_servers needs ModelParams.isolation='process'"):
        headrace.ModelParams(rpc_servers=["a:1"])
    params = headrace.ModelParams(
        rpc_servers=["10.0.0.2:50052", "box-2.lan:1"], isolation="process"
    )
    assert params.rpc_servers == ("10.0.0.2:50052", "box-2.lan:1")
    with pytest.raises(UnsupportedError, match="rpc_servers"):
        headrace.estimate_memory("fake:Hello", params=params)


_WRONG = ["a:1", ["a"], ["a:0"], ["a:65536"], [":1"], ["a:1", "a:1"], ["a b:1"], ["a:1\n"]]
_WRONG += [[["a"]], [1], [f"a:{port}" for port in range(1, 18)], ["http://a:1"], ["[::1]:1"], None]


@pytest.mark.parametrize(
    "wrong",
    _WRONG,
    ids=str,
)
def test_addresses_are_checked(wrong):
    """Before anything is connected to."""
    with pytest.raises(ParamsError, match="rpc_servers"):
        headrace.ModelParams(rpc_servers=wrong, isolation="process")
