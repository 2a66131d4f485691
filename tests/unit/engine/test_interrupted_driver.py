"""A driver may die between any two bytecodes: no token of another stream is lost."""

from __future__ import annotations

import contextlib
import signal

import pytest

from headrace import StopReason
from tests.support.interrupting import RaiseAt

ENGINE_FILES = (
    "/headrace/engine/",
    "/headrace/session.py",
    "/headrace/streams/tokens.py",
    "/headrace/common/seam.py",
)


class SoftTimeLimit(Exception):
    """As task queues raise it from a signal handler."""


ERRORS = [KeyboardInterrupt, SoftTimeLimit, MemoryError, RecursionError]
"""What may be raised in a caller's thread wherever it happens to be."""


def places(error):
    """The first place to try, and how many to go on: all of them, between the last three."""
    return (0, 1) if error is KeyboardInterrupt else (ERRORS.index(error) - 1, 3)


@contextlib.contextmanager
def raised_by_signals(error):
    """Inside, ``signal.raise_signal(SIGUSR1)`` raises it from a signal handler."""

    def handler(signum, frame):
        raise error

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


class InterruptAt(RaiseAt):
    """Raises from a signal handler, at the n-th place inside the engine."""

    def __init__(
        self,
        position: int,
        error: type[BaseException] = KeyboardInterrupt,
        files: tuple[str, ...] = ENGINE_FILES,
    ) -> None:
        super().__init__(position, files, error)
        self._signals = raised_by_signals(error)

    def __enter__(self) -> InterruptAt:
        self._signals.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *exc_info) -> None:
        super().__exit__(*exc_info)
        self._signals.__exit__(None, None, None)

    def _interrupt(self) -> None:
        signal.raise_signal(signal.SIGUSR1)


def run(fake, position, error=KeyboardInterrupt, **options):
    """Two streams; the driver of the first is interrupted; returns what both and a third wrote."""
    engine = fake(**options)
    victim, other = engine.stream("victim", max_tokens=6), engine.stream("other", max_tokens=6)
    next(victim)
    next(other)
    interrupter, raised = InterruptAt(position, error), False
    try:
        with interrupter:
            next(victim)
            next(victim)
    except error:
        raised = True
    assert raised or not interrupter.fired, f"{error.__name__} at {position} did not come out"
    list(other)
    list(victim)
    seen = list(victim._owner.tokens)
    rest = victim._owner.complete(None, sampling=victim._generation.run.sampling, max_tokens=3)
    assert victim._owner.tokens == seen + list(rest.tokens)
    return interrupter.fired, other.result, victim.result, seen


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("truncation", ["any", "none"])
def test_no_bytecode_of_the_driver_is_a_bad_place_to_die(fake, truncation, error):
    """The others get all their tokens, nothing stays locked, the history is what was seen."""
    options = {"truncation": truncation, "can_copy": truncation == "any"}
    expected_other = fake(**options).tokens("other", max_tokens=6)
    expected_victim = fake(**options).tokens("victim", max_tokens=6)
    run(fake, 10**9, **options)  # Python 3.12 sees bytecodes only in code that was traced before
    (position, step), fired = places(error), True
    while fired:
        fired, other, victim, seen = run(fake, position, error, **options)
        assert other.tokens == expected_other, position
        assert other.stop_reason is StopReason.MAX_TOKENS
        if victim.stop_reason is StopReason.CANCELLED:
            assert victim.tokens == expected_victim[: len(victim.tokens)], position
            assert seen[-len(victim.tokens) :] == list(victim.tokens), position
        else:
            assert victim.tokens == expected_victim
        position += step
    assert position > 100


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", ["generate", "chat", "infill"])
def test_no_bytecode_of_a_beginning_is_a_bad_place_to_die(fake, kind, error):
    """A caller that was given no stream is not told later that one is under way."""
    begin = {
        "generate": lambda session: session.generate("a prompt", max_tokens=3),
        "chat": lambda session: session.chat([{"role": "user", "content": "hi"}], max_tokens=3),
        "infill": lambda session: session.infill("a prefix", "a suffix", max_tokens=3),
    }[kind]
    engine = fake()
    session = engine.model.open_session()

    def run(position):
        interrupter, kept = InterruptAt(position, error), []
        try:
            with interrupter:
                begin(session)
        except error as raised:
            kept.append(raised)  # and with it the frames that it passed through
        session.reset()
        return interrupter.fired

    run(10**9)
    position, step = places(error)
    while run(position):
        position += step
    assert position > 10
