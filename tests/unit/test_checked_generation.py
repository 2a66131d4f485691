"""A tier-1 generation that does not keep the protocol: named, and never waited for in vain."""

from __future__ import annotations

import threading

import anyio
import pytest

from headrace import StopReason, TokenStream
from headrace.errors import BackendProtocolError, DecodeError
from headrace.protocols import Delta, Piece
from headrace.streams import checked as checked_generation
from tests.unit.test_stream import Script, pieces


def read(stream):
    """All of it, in this thread."""
    return list(stream)


def aread(stream):
    """All of it, in a task."""

    async def main():
        return [chunk async for chunk in stream]

    return anyio.run(main)


@pytest.fixture(params=[read, aread], ids=["thread", "task"])
def reader(request):
    """Either way to read."""
    return request.param


@pytest.mark.parametrize(
    ("delta", "told"),
    [
        (None, "None, though it was to wait"),
        ("text", "instead of a Delta"),
        (Delta(end="eog!"), "is no StopReason"),
        (Delta((b"raw",)), "has no bytes"),
        (Delta((Piece(1, "text"),)), "has no bytes"),
        (Delta((Piece("1", b"a"),)), "is a str, no int"),
        (Delta((Piece(True, b"a"),)), "is a bool, no int"),
        (ValueError("a defect"), "raised ValueError"),
    ],
)
def test_what_a_pull_brings_is_looked_at(reader, delta, told):
    """The error names the call; what came before it was delivered."""
    stream = TokenStream(Script(pieces(b"a"), delta))
    with pytest.raises(BackendProtocolError, match=r"in a?pull") as caught:
        reader(stream)
    assert told in str(caught.value)
    with pytest.raises(BackendProtocolError):
        _ = stream.result


@pytest.mark.parametrize("name", ["deliver", "settle", "interrupt", "counters"])
def test_every_other_method_that_raises_is_named(name):
    """Whatever it was called for."""

    def defect(*arguments, **keywords):
        raise KeyError("a defect")

    script = Script(pieces(b"a"), pieces(b"b", end=StopReason.EOG))
    setattr(script, name, defect)
    stream = TokenStream(script)
    with pytest.raises(BackendProtocolError, match=f"raised KeyError in {name}"):
        stream.statistics() if name == "counters" else _read_and_cancel(stream)


def _read_and_cancel(stream):
    next(stream)
    stream.cancel()
    list(stream)


def test_a_report_that_is_none_is_named():
    """At the end of the stream."""
    script = Script(pieces(b"a", end=StopReason.EOG))
    script.settle = lambda *arguments: None
    with pytest.raises(BackendProtocolError, match="None instead of a GenerationReport"):
        list(TokenStream(script))


def test_an_error_of_a_backend_passes_as_it_is(reader):
    """It has a type already."""
    stream = TokenStream(Script(pieces(b"a"), DecodeError("broken")))
    with pytest.raises(DecodeError, match="broken"):
        reader(stream)


class Deaf(Script):
    """One whose pulls look at no interrupt and no ``max_wait`` until they are let go."""

    def __init__(self, *deltas):
        super().__init__(*deltas)
        self.go = threading.Event()
        self.pulling = 0

    def pull(self, max_wait):
        """Waits for something that does not come."""
        if self.deltas:
            return super().pull(max_wait)
        self.pulling += 1
        assert self.pulling == 1, "two pulls at once"
        self.go.wait()
        self.pulling -= 1
        return Delta(end=StopReason.EOG)

    async def apull(self, max_wait):
        """The same in an event loop."""
        if not self.deltas:
            await anyio.sleep_forever()
        return super().pull(max_wait)


@pytest.fixture
def impatient(monkeypatch):
    """Pulls are given up soon."""
    monkeypatch.setattr(checked_generation, "GRACE", 0.05)


def test_a_pull_that_never_comes_back_does_not_hold_a_time_limit_up(reader, impatient):
    """The reader is told, and what it was shown before is in the error's past."""
    script = Deaf(pieces(b"a"))
    stream = TokenStream(script, timeout=0.05)
    with pytest.raises(BackendProtocolError, match="has not come back"):
        reader(stream)
    script.go.set()


def test_a_pull_that_comes_late_is_taken_by_the_next(impatient):
    """Two never run at once: what an interrupted reader left behind is waited for."""
    script = Deaf()
    generation = checked_generation.CheckedGeneration(script, "script")
    with pytest.raises(BackendProtocolError, match=r"max_wait=0\.01"):
        generation.pull(0.01)
    script.go.set()
    assert generation.pull(None) == Delta(end=StopReason.EOG)


def test_an_interrupted_pull_does_not_hold_the_end_up(impatient):
    """A cancelled stream whose pull is deaf is given up."""
    script = Deaf()
    stream = TokenStream(script)
    stream.cancel()
    script.interrupted = StopReason.CANCELLED
    with pytest.raises(BackendProtocolError, match="after an interrupt"):
        checked_generation.CheckedGeneration(script, "script").pull(None)
    script.go.set()


def test_a_dropped_stream_of_a_broken_generation_is_silent(recwarn):
    """There is nobody to tell."""

    def defect(reason):
        raise ValueError("a defect")

    script = Script(pieces(b"a"))
    script.interrupt = defect
    stream = TokenStream(script)
    next(stream)
    del stream
    assert not recwarn.list
