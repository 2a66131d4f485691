"""Calls that are given a time."""

from __future__ import annotations

import threading

import pytest

from headrace.common.bounded import StillRunning, within


def test_what_a_call_returns_or_raises_comes_out():
    """Exits, too: they are the call's, not the thread's."""
    assert within(30, lambda: 3) == 3
    for error in (KeyError("x"), SystemExit(3)):

        def fail(error=error):
            raise error

        with pytest.raises(type(error)) as caught:
            within(30, fail)
        assert caught.value is error


def test_a_call_that_does_not_end_is_left_with_where_it_is():
    """For its author."""
    gate = threading.Event()

    def waits_at_the_gate():
        gate.wait(30)

    try:
        with pytest.raises(StillRunning, match=r"no answer within 0\.01 s") as caught:
            within(0.01, waits_at_the_gate)
        assert "waits_at_the_gate" in caught.value.stack
    finally:
        gate.set()
