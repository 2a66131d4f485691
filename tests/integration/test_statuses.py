"""The table of statuses is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace.errors import DecodeError, HeadraceError, ModelError, TokenizeError
from headrace.protocols import StepStatus
from headrace_llamacpp._native import ffi, lib
from headrace_llamacpp._statuses import MEANINGS, Operation

ROOT = Path(__file__).resolve().parents[2]


def _declared(path: Path) -> dict[str, int]:
    body = re.search(r"enum hr_status \{(.*?)\};", path.read_text(encoding="utf-8"), re.DOTALL)[1]
    return {name: int(number) for name, number in re.findall(r"\b(HR_\w+) = (\d+)", body)}


def test_every_status_has_exactly_one_meaning():
    """What is declared, the extension names and the table explains."""
    header = _declared(ROOT / "ffi" / "api" / "10_report.h")
    assert {
        name: number for number, name in ffi.typeof("enum hr_status").elements.items()
    } == header
    assert set(MEANINGS) == set(header)


def test_every_documented_code_of_a_decode_is_told_apart():
    """0, 1, 2, -1, -2, -3 and anything else have statuses of their own."""
    outcomes = {
        lib.HR_OK: StepStatus.DONE,
        lib.HR_NO_ROOM: StepStatus.NO_ROOM,
        lib.HR_INTERRUPTED: StepStatus.INTERRUPTED,
    }
    failures = (lib.HR_BAD_BATCH, lib.HR_ALLOC_FAILED, lib.HR_COMPUTE_FAILED, lib.HR_UNKNOWN_CODE)
    names = ffi.typeof("enum hr_status").elements
    for status, outcome in outcomes.items():
        assert MEANINGS[names[status]].result is outcome
    for status in failures:
        assert MEANINGS[names[status]].result is DecodeError


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("name", list(MEANINGS))
def test_every_status_is_an_error_of_our_tree_in_every_operation(operation, name):
    """Whatever comes back from wherever, the user gets a HeadraceError."""
    assert issubclass(MEANINGS[name].error_class(operation), HeadraceError)


def test_what_a_guard_catches_is_an_error_of_the_operation():
    """The same abort is a model's fault while loading and a step's while decoding."""
    abort = MEANINGS["HR_NATIVE_ABORT"]
    assert issubclass(abort.error_class(Operation.LOAD), ModelError)
    assert issubclass(abort.error_class(Operation.TEXT), TokenizeError)
    assert issubclass(abort.error_class(Operation.STEP), DecodeError)
    assert issubclass(MEANINGS["HR_OUT_OF_MEMORY"].error_class(Operation.OPEN), MemoryError)
