"""A driver may die between any two bytecodes: no token of another stream is lost."""

from __future__ import annotations

import contextlib
import dis
import sys

import pytest

from headrace import StopReason

ENGINE_FILES = ("/engine/", "/headrace/stream.py")


class InterruptAt:
    """Raises ``KeyboardInterrupt`` at the n-th place inside the engine at which Python may.

    CPython looks for signals after a call, when a function begins and when a
    loop turns, and nowhere else; that is what makes a ``with`` statement on a
    lock safe.
    """

    def __init__(self, position: int) -> None:
        self.left = position
        self.fired = False
        self._previous: dict[object, str] = {}

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *exc_info):
        sys.settrace(self._before)

    def _trace(self, frame, event, argument):
        if not any(part in frame.f_code.co_filename for part in ENGINE_FILES):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode" and not self.fired:
            name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            before = self._previous.get(frame, "")
            self._previous[frame] = name
            if before.startswith("CALL") or name == "RESUME" or "JUMP_BACKWARD" in before:
                self.left -= 1
                if self.left < 0:
                    self.fired = True
                    raise KeyboardInterrupt
        return self._trace


def run(fake, position, **options):
    """Two streams; the driver of the first is interrupted; returns what both and a third wrote."""
    engine = fake(**options)
    victim, other = engine.stream("victim", max_tokens=6), engine.stream("other", max_tokens=6)
    next(victim)
    next(other)
    interrupter = InterruptAt(position)
    with contextlib.suppress(KeyboardInterrupt), interrupter:
        next(victim)
        next(victim)
    list(other)
    list(victim)
    seen = list(victim._owner.tokens)
    rest = victim._owner.complete(None, sampling=victim._generation.sampling, max_tokens=3)
    assert victim._owner.tokens == seen + list(rest.tokens)
    return interrupter.fired, other.result, victim.result, seen


@pytest.mark.parametrize("truncation", ["any", "none"])
def test_no_bytecode_of_the_driver_is_a_bad_place_to_die(fake, truncation):
    """The others get all their tokens, nothing stays locked, the history is what was seen."""
    options = {"truncation": truncation, "can_copy": truncation == "any"}
    expected_other = fake(**options).tokens("other", max_tokens=6)
    expected_victim = fake(**options).tokens("victim", max_tokens=6)
    run(fake, 10**9, **options)  # Python 3.12 sees bytecodes only in code that was traced before
    position, fired = 0, True
    while fired:
        fired, other, victim, seen = run(fake, position, **options)
        assert other.tokens == expected_other, position
        assert other.stop_reason is StopReason.MAX_TOKENS
        if victim.stop_reason is StopReason.CANCELLED:
            assert victim.tokens == expected_victim[: len(victim.tokens)], position
            assert seen[-len(victim.tokens) :] == list(victim.tokens), position
        else:
            assert victim.tokens == expected_victim
        position += 1
    assert position > 100
