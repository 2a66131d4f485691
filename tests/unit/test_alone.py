"""Work that one at a time does: at once or not at all, and never blocked for good."""

from __future__ import annotations

import contextlib
import threading

import pytest

from headrace.common.alone import Alone
from tests.unit.engine.test_interrupted_driver import ERRORS, InterruptAt


def test_others_leave_it_to_whoever_is_at_it():
    """Another thread, and the same one further down its stack."""
    alone, done = Alone(), []

    def work():
        thread = threading.Thread(target=lambda: done.append(alone.attempt(lambda: None)))
        thread.start()
        thread.join()
        done.append(alone.attempt(lambda: None))

    assert alone.attempt(work)
    assert done == [False, False]
    assert alone.attempt(lambda: None)


@pytest.mark.parametrize("error", ERRORS)
def test_an_exception_at_any_place_leaves_it_free(error):
    """Before the work, in it and after it."""
    alone = Alone()

    def run(position):
        interrupter = InterruptAt(position, error, ("/headrace/common/alone.py",))
        with contextlib.suppress(error), interrupter:
            alone.attempt(lambda: None)
        assert alone.attempt(lambda: None), position
        return interrupter.fired

    run(10**9)
    position = 0
    while run(position):
        position += 1
    assert position >= 3
