"""Whether a model that stands still is told from one that works, waits or has nothing to do."""

from __future__ import annotations

import attrs
import pytest

from headrace import StreamStatistics
from headrace_server.models.pulse import Pulse


@attrs.define(eq=False)
class Reader:
    """A stream whose steps a test counts."""

    steps: int = 0

    def statistics(self):
        """What the watchdog asks."""
        return StreamStatistics(steps=self.steps)


@attrs.define
class Clock:
    """A clock that a test moves."""

    now: float = 100.0

    def __call__(self):
        """The time."""
        return self.now


@pytest.fixture
def clock():
    """A clock that stands."""
    return Clock()


@pytest.fixture
def pulse(clock):
    """Signs of life, with a patience of ten seconds."""
    return Pulse(10.0, clock)


def test_nobody_waits_so_nothing_is_stalled(pulse, clock):
    """However long nothing happens, if nobody waits for it."""
    clock.now += 1000
    assert not pulse.stalled
    assert pulse.silence == 0


def test_a_reader_that_gets_nothing_is_a_standstill(pulse, clock):
    """Longer than the patience, from when it began to wait; the next token ends it."""
    clock.now += 1000
    reader = Reader()
    pulse.wait(reader, reader)
    assert not pulse.stalled
    clock.now += 10
    assert not pulse.stalled
    clock.now += 0.1
    assert pulse.stalled
    pulse.beat(reader)
    assert not pulse.stalled


def test_steps_of_a_long_prompt_are_progress(pulse, clock):
    """A step counts though it brings no token."""
    reader = Reader()
    pulse.wait(reader, reader)
    for _ in range(5):
        clock.now += 9
        reader.steps += 1
        assert not pulse.stalled
    clock.now += 11
    assert pulse.stalled


def test_a_token_of_one_reader_is_a_sign_of_life_for_all(pulse, clock):
    """Others may wait for their turn meanwhile."""
    first, second = Reader(), Reader()
    pulse.wait(first, first)
    pulse.wait(second, second)
    clock.now += 9
    pulse.beat(second)
    clock.now += 9
    assert not pulse.stalled
    assert pulse.waiting == 1
    clock.now += 2
    assert pulse.stalled


def test_readers_that_give_up_make_no_standstill_shorter(pulse, clock):
    """Who retries a wedged model is no sign of life; what nobody waits for counts for nothing."""
    for _ in range(3):
        reader = Reader()
        pulse.wait(reader, reader)
        clock.now += 4
        stalled = pulse.stalled
        pulse.leave(reader)
        assert not pulse.stalled
        clock.now += 1000
    assert stalled
