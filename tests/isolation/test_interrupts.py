"""Ctrl-C: wherever it falls, the session is right afterwards; the child never gets it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import pytest

from headrace import HeadraceError, SamplingParams

GREEDY = SamplingParams(temperature=0.0)
PROMPT = "Once upon a time"


class InterruptAt:
    """Raises at the n-th line that runs in the package's own modules."""

    def __init__(self, line: int) -> None:
        self.left = line

    def trace(self, frame, event, argument):
        """For ``sys.settrace``."""
        if "headrace_subprocess" not in frame.f_code.co_filename:
            return None
        # A finalizer's exception is nobody's.
        if event == "line" and not _in_finalizer(frame):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self.trace


def _in_finalizer(frame):
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


def _work(session):
    with session.generate(PROMPT, sampling=GREEDY, max_tokens=6) as stream:
        for _ in stream:
            pass
    session.score(" more")
    session.rewind(to=0)


def test_wherever_an_interrupt_falls_the_session_goes_on(load):
    """At every fifth line of a generation, a score and a rewind."""
    model = load()
    session = model.open_session()
    expected = session.complete(PROMPT, sampling=GREEDY, max_tokens=6).tokens
    session.reset()
    line, interrupted = 1, True
    while interrupted:
        interrupt = InterruptAt(line)
        interrupted = False
        before = sys.gettrace()
        sys.settrace(interrupt.trace)
        try:
            _work(session)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sys.settrace(before)
        session.reset()
        assert session.tokens == []
        assert session.complete(PROMPT, sampling=GREEDY, max_tokens=6).tokens == expected, line
        session.reset()
        line += 5
    assert line > 100


def test_the_child_does_not_get_the_terminals_interrupt(load):
    """It is in a session of its own, so a signal to the parent's group passes it by."""
    model = load()
    assert os.getsid(model.worker.pid) != os.getsid(0)
    session = model.open_session()
    stream = session.generate(PROMPT, sampling=GREEDY, max_tokens=30)
    next(stream)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    stream.cancel()
    with contextlib.suppress(HeadraceError):
        list(stream)
    session.reset()
    assert session.complete(PROMPT, sampling=GREEDY, max_tokens=6).tokens
