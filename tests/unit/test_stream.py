"""A token stream over a generation of any kind: here one that follows a script."""

from __future__ import annotations

import gc
from collections import deque

import pytest

import headrace
from headrace import DecodeError, Receipt, StopReason, Timings, TokenStream, Usage
from headrace.protocols import Delta, GenerationReport, Piece

REPORT = GenerationReport(Usage(), Timings(), Receipt("script", "1", None, False, "a script"))


class Script:
    """A tier-1 generation that hands out prepared deltas."""

    carry = b""

    def __init__(self, *deltas):
        self.deltas = deque(deltas)
        self.interrupted = None
        self.delivered = 0
        self.settled = []
        self.max_waits = []

    def pull(self, max_wait):
        """The next of the script."""
        self.max_waits.append(max_wait)
        if self.interrupted is not None:
            return Delta(end=self.interrupted)
        delta = self.deltas.popleft()
        if isinstance(delta, BaseException):
            raise delta
        return delta

    async def apull(self, max_wait):
        """The same: a script never waits."""
        return self.pull(max_wait)

    def deliver(self, pieces):
        """Count, unless interrupted."""
        if self.interrupted is not None:
            return False
        self.delivered += pieces
        return True

    def interrupt(self, reason):
        """The first reason counts."""
        self.interrupted = self.interrupted or reason

    def settle(self, reason, seen, carry=b""):
        """Note the call."""
        self.settled.append((reason, seen, carry))
        return REPORT

    def counters(self):
        """No buffer, a step a pull."""
        return 0, len(self.max_waits), 0


def pieces(*data, end=None, first=0):
    """A delta of numbered tokens."""
    return Delta(tuple(Piece(first + i, each) for i, each in enumerate(data)), end)


def test_a_backend_may_send_text_without_tokens():
    """Token ids are a capability."""
    script = Script(Delta((Piece(None, b"Hel"),)), Delta((Piece(None, b"lo"),), StopReason.EOG))
    stream = TokenStream(script)
    assert [(chunk.text, chunk.tokens) for chunk in stream] == [("Hel", ()), ("lo", ())]
    assert stream.result.text == "Hello"
    assert script.settled == [(StopReason.EOG, 2, b"")]


def test_the_end_settles_with_the_last_chunk():
    """A reader that stops after it needs no further call."""
    script = Script(pieces(b"a", end=StopReason.MAX_TOKENS))
    stream = TokenStream(script)
    assert next(stream).text == "a"
    assert stream.result.stop_reason is StopReason.MAX_TOKENS


def test_what_is_held_back_is_not_seen_after_a_cancel():
    """It is carried over instead."""
    script = Script(pieces(b"ab\xc3"), pieces(b"\xa9", first=1))
    stream = TokenStream(script)
    assert next(stream).text == "ab"
    stream.cancel()
    assert list(stream) == []
    assert stream.result.text == "ab"
    assert script.settled == [(StopReason.CANCELLED, 1, b"\xc3")]


def test_a_cancel_between_pull_and_delivery_wins():
    """The chunk that was about to be handed out is not seen."""
    script = Script(pieces(b"a"))
    stream = TokenStream(script)
    plain_pull = script.pull

    def pull(max_wait):
        delta = plain_pull(max_wait)
        script.interrupt(StopReason.CANCELLED)
        return delta

    script.pull = pull
    assert list(stream) == []
    assert stream.result.tokens == ()
    assert script.settled == [(StopReason.CANCELLED, 0, b"")]


def test_the_wait_is_limited_by_what_is_left_of_the_time_out():
    """And a pull that brings nothing in time ends the stream."""
    script = Script(pieces(b"a"), None)
    stream = TokenStream(script, timeout=1000.0)
    assert [chunk.text for chunk in stream] == ["a"]
    assert stream.result.stop_reason is StopReason.TIMED_OUT
    assert all(0 < wait <= 1000 for wait in script.max_waits[:2])


def test_a_failure_is_raised_again_by_the_result():
    """And settles the generation once."""
    script = Script(pieces(b"a"), DecodeError("no"))
    stream = TokenStream(script)
    next(stream)
    for call in (lambda: next(stream), lambda: next(stream), lambda: stream.result):
        with pytest.raises(DecodeError, match="no"):
            call()
    assert script.settled == [(None, 1, b"")]


def test_an_unexpected_exception_cancels():
    """A stream with a hole in it must not go on."""
    script = Script(pieces(b"a"), KeyboardInterrupt())
    stream = TokenStream(script)
    next(stream)
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    assert list(stream) == []
    assert stream.result.stop_reason is StopReason.CANCELLED


def test_dropping_a_stream_interrupts_and_leaves_the_carry():
    """Without a lock, because a finalizer runs anywhere."""
    script = Script(pieces(b"a\xe8"))
    stream = TokenStream(script)
    next(stream)
    del stream
    gc.collect()
    assert script.interrupted is StopReason.CANCELLED
    assert script.carry == b"\xe8"
    assert script.settled == []


def test_dropping_an_ended_stream_does_nothing():
    """Its session may be in the next generation already."""
    script = Script(pieces(b"a", end=StopReason.EOG))
    list(TokenStream(script))
    gc.collect()
    assert script.interrupted is None


def test_the_stream_begins_with_the_carry():
    """The rest of a character that a cancel cut."""
    script = Script(pieces(b"\xa9", end=StopReason.EOG))
    script.carry = b"\xc3"
    assert [chunk.text for chunk in TokenStream(script)] == ["é"]


def test_cancelling_twice_or_after_the_end_does_nothing():
    """The first reason stays."""
    script = Script(pieces(b"a", end=StopReason.EOG))
    stream = TokenStream(script)
    list(stream)
    stream.cancel()
    stream.close()
    assert stream.result.stop_reason is StopReason.EOG
    assert script.interrupted is None


def test_looks_at_what_was_read_take_the_same_time_however_much_it_was():
    """Chunks that were handed out are added up once; what is said of them stays exact."""
    model = headrace.load_model("fake:#mean_length=0")
    with model, model.open_session() as session, session.generate("a", max_tokens=30) as stream:
        read = 0
        for chunk in stream:
            read += len(chunk.tokens)
            assert stream.statistics().delivered_tokens == read
            assert stream._added_up[0] >= len(stream._handed_out) - 1
    assert read
