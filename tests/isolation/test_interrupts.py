"""Ctrl-C: wherever it falls, the session is right afterwards; the child never gets it."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from headrace import HeadraceError, SamplingParams
from tests.unit.engine.test_interrupted_driver import ERRORS, InterruptAt, places

GREEDY = SamplingParams(temperature=0.0)
PROMPT = "Once upon a time"


def _work(session):
    with session.generate(PROMPT, sampling=GREEDY, max_tokens=6) as stream:
        for _ in stream:
            pass
    session.score(" more")
    session.rewind(to=0)


@pytest.mark.parametrize("error", ERRORS)
def test_wherever_an_interrupt_falls_the_session_goes_on(load, error):
    """At every fifth place of a generation, a score and a rewind."""
    model = load()
    session = model.open_session()
    expected = session.complete(PROMPT, sampling=GREEDY, max_tokens=6).tokens
    session.reset()
    (position, _), fired = places(error), True
    while fired:
        interrupt = InterruptAt(position, error, ("/headrace_subprocess/",))
        with contextlib.suppress(error), interrupt:
            _work(session)
        fired = interrupt.fired
        session.reset()
        assert session.tokens == []
        found = session.complete(PROMPT, sampling=GREEDY, max_tokens=6).tokens
        assert found == expected, position
        session.reset()
        position += 5
    assert position > 200


def test_the_child_does_not_get_the_terminals_interrupt(load):
    """It is in a session of its own, so a signal to the parent's group passes it by."""
    model = load()
    assert os.getsid(model.client.worker.pid) != os.getsid(0)
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
