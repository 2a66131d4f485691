"""An exception out of a signal handler ends the call it falls into, and hurts nobody else."""

from __future__ import annotations

import contextlib
import signal

import pytest

from tests.contract.conftest import GREEDY

PROMPT = "Once upon a time"


class SoftTimeLimit(Exception):
    """As task queues raise it."""


@contextlib.contextmanager
def time_limit(seconds):
    """Raise ``SoftTimeLimit`` wherever the main thread is by then.

    And again a second later, because Python loses what is raised in a finalizer.
    """

    def on_alarm(signum, frame):
        raise SoftTimeLimit

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _complete(model, session):
    session.complete(PROMPT, sampling=GREEDY, max_tokens=50, ignore_eog=True)


def _score(model, session):
    session.score(PROMPT)


def _fork(model, session):
    with session.fork() as forked:
        forked.complete(PROMPT, sampling=GREEDY, max_tokens=2, ignore_eog=True)


def _state(model, session):
    session.load_state(session.state())
    session.complete(PROMPT, sampling=GREEDY, max_tokens=1, ignore_eog=True)


def _open(model, session):
    with model.open_session() as other:
        other.complete(PROMPT, sampling=GREEDY, max_tokens=1, ignore_eog=True)


def again_and_again(call, model, victim):
    """For as long as nothing is raised."""
    while True:
        call(model, victim)
        victim.reset()


# What is raised in a finalizer is told and lost; a socket that the standard library was about
# to hand out is closed by the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("call", [_complete, _score, _fork, _state, _open])
def test_it_ends_its_own_call(target, call):
    """The same class comes out; victim and bystander write on what they would have written."""
    with target.load(n_sequences=4) as model:
        with model.open_session() as undisturbed:
            done = undisturbed.complete(PROMPT, sampling=GREEDY, max_tokens=9, ignore_eog=True)
        bystander, victim = model.open_session(), model.open_session()
        first = bystander.complete(PROMPT, sampling=GREEDY, max_tokens=4, ignore_eog=True)
        for seconds in (0.003, 0.02, 0.05):
            with pytest.raises(SoftTimeLimit), time_limit(seconds):
                again_and_again(call, model, victim)
            victim.reset()
        again = victim.complete(PROMPT, sampling=GREEDY, max_tokens=9, ignore_eog=True)
        assert again.tokens == done.tokens
        rest = bystander.complete(None, sampling=GREEDY, max_tokens=5, ignore_eog=True)
        assert first.tokens + rest.tokens == done.tokens
