"""Checks of files that end the process that looks at them."""

from __future__ import annotations

import json

import pytest

import headrace
from headrace import CheckLimits, CheckOutcome, CheckVerdict
from headrace.loading.isolation import open_checker

_LIMITS = CheckLimits(memory_bytes=2**30, stage_seconds=30, template_seconds=30)


def test_a_sound_model_is_fit():
    """And each stage was announced."""
    begun = []
    found = headrace.check_model("fake:Hello", progress=begun.append)
    assert (found.verdict, found.backend, found.problem) == (CheckVerdict.FIT, "fake", None)
    assert begun == ["load", "tokens", "chat template"]


@pytest.mark.parametrize(
    ("death", "said"),
    [("segfault", "SIGSEGV"), ("abort", "SIGABRT"), ("exit", "exit code 7"), ("hog", "SIGABRT")],
)
def test_a_file_that_ends_the_process_is_dangerous(death, said):
    """What ended it is told, and the stage."""
    found = headrace.check_model(f"fake:#load_fault={death}", limits=_LIMITS)
    assert found.verdict is CheckVerdict.DANGEROUS
    assert (found.problem.name, found.problem.outcome) == ("load", CheckOutcome.CRASHED)
    assert said in found.problem.message


def test_a_file_that_hangs_is_dangerous():
    """The process is ended when the stage is over its time."""
    limits = CheckLimits(stage_seconds=0.5)
    found = headrace.check_model("fake:#load_fault=hang", limits=limits)
    assert found.verdict is CheckVerdict.DANGEROUS
    assert (found.problem.name, found.problem.outcome) == ("load", CheckOutcome.HUNG)


def test_one_checker_goes_on_after_a_death():
    """With a new process, and with the same one as long as nobody dies."""
    checker = open_checker(headrace.backends()["fake"], _LIMITS)
    try:
        assert checker.check("fake:a")[0].outcome is CheckOutcome.PASSED
        assert checker.check("fake:#load_fault=format")[0].error == "ModelFormatError"
        assert checker.processes == 1
        assert checker.check("fake:#load_fault=abort")[0].outcome is CheckOutcome.CRASHED
        assert [each.outcome for each in checker.check("fake:b")] == [CheckOutcome.PASSED] * 3
        assert checker.processes == 2
    finally:
        checker.close()


def test_what_the_progress_function_raises_passes(monkeypatch):
    """And the process is ended."""

    def stop(stage):
        raise LookupError(stage)

    with pytest.raises(LookupError, match="load"):
        headrace.check_model("fake:Hello", progress=stop)


def test_the_command_shows_stages_and_ends_with_1(capsys):
    """And with 0 for a model that is fit."""
    from headrace.cli.app import main

    with pytest.raises(SystemExit) as ended:
        main(["check", "fake:Hello"])
    assert ended.value.code == 0
    assert "It is fit to use." in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["check", "fake:#load_fault=abort"])
    assert ended.value.code == 1
    shown = capsys.readouterr().out
    assert "crashed" in shown
    assert "dangerous" in shown
    with pytest.raises(SystemExit) as ended:
        main(["check", "fake:#load_fault=format", "--json"])
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["fit"]) == ("damaged", False)
    assert told["stages"][0]["error"] == "ModelFormatError"
