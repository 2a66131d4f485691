"""Errors that are kept and raised to everyone who asks: each caller gets one of his own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import traceback
import weakref
from collections.abc import Callable, Iterator

import pytest

import headrace
from headrace import (
    ChatParseError,
    ClosedError,
    DecodeError,
    HeadraceError,
)
from headrace_fake import FakeBackend

Failing = Callable[[], object]
TIMES = 1_000
FAULTS = ("row", "failed", "poisoned", "raise")


class Local:
    """Something in the frame of a caller."""


def load(**options):
    """A fake that is told what to do."""
    return headrace.load_model("fake:", backend=FakeBackend(**{"mean_length": 0, **options}))


def failing_stream(fault):
    """A stream that has failed to its reader."""
    stream = load(fault_at=2, fault=fault).open_session().generate("x", max_tokens=8)
    swallow(lambda: list(stream))
    return stream


def dead_session(fault="poisoned"):
    """A session whose context was lost while another one was read."""
    model = load(fault_at=3, fault=fault)
    session = model.open_session()
    session.complete("y", max_tokens=1)
    swallow(lambda: model.open_session().complete("x", max_tokens=8))
    return session


def closed_session():
    """A session after its end."""
    session = load().open_session()
    session.close()
    return session


def session_of_closed_model():
    """A session after its model's end."""
    model = load()
    session = model.open_session()
    model.close()
    return session


def chat_stream():
    """An answer that has failed to its reader."""
    model = load(fault_at=2, fault="row")
    stream = model.open_session().chat([{"role": "user", "content": "x"}], max_tokens=8)
    swallow(lambda: list(stream))
    return stream


def swallow(call: Failing) -> None:
    """Call what fails."""
    with contextlib.suppress(HeadraceError):
        call()


async def anext_of(stream):
    """What a task reads."""
    return await stream.__anext__()


WAYS: dict[str, Callable[[], Failing]] = {
    **{
        f"{name} after {fault}": lambda fault=fault, call=call: call(failing_stream(fault))
        for fault in FAULTS
        for name, call in {
            "result": lambda stream: lambda: stream.result,
            "next": lambda stream: lambda: next(stream),
            "anext": lambda stream: lambda: asyncio.run(anext_of(stream)),
        }.items()
    },
    **{
        f"{name} of a {made.__name__}": lambda made=made, call=call: call(made())
        for made in (dead_session, closed_session, session_of_closed_model)
        for name, call in {
            "generate": lambda session: lambda: session.generate("x"),
            "score": lambda session: lambda: session.score("x"),
            "memory": lambda session: session.memory_usage,
            "state": lambda session: session.state,
            "fork": lambda session: session.fork,
            "rewind": lambda session: lambda: session.rewind(to=0),
        }.items()
    },
    "result of a chat": lambda: (lambda stream: lambda: stream.result)(chat_stream()),
    "next of a chat": lambda: (lambda stream: lambda: next(stream))(chat_stream()),
}


@pytest.fixture(params=WAYS, ids=str)
def fail(request) -> Iterator[Failing]:
    """A call that raises what is kept, every time."""
    return WAYS[request.param]()


def caught(call: Failing) -> HeadraceError:
    """What a call raises."""
    with pytest.raises(HeadraceError) as info:
        call()
    return info.value


def test_everyone_gets_an_error_of_his_own(fail):
    """They say the same, and what is kept stays as it was however often it was raised."""
    first = caught(fail)
    kept = first.__cause__
    assert type(kept) is type(first)
    length = len(traceback.format_exception(first))
    for _ in range(TIMES):
        swallow(fail)
    last = caught(fail)
    assert last is not first
    assert last.__cause__ is kept
    assert (type(last), vars(last), str(last)) == (type(first), vars(first), str(first))
    assert kept.__traceback__ is None
    assert len(traceback.format_exception(last)) == length


def test_no_frame_of_a_caller_is_kept(fail):
    """His variables are free as soon as he has handled it."""

    def caller():
        local = Local()
        swallow(fail)
        return weakref.ref(local)

    left = caller()
    gc.collect()
    assert left() is None


FIRST = {
    **{fault: lambda fault=fault: failing_stream(fault) for fault in FAULTS},
    "chat": chat_stream,
}


@pytest.mark.parametrize("make", FIRST.values(), ids=FIRST)
def test_the_first_reader_leaves_no_frame_either(make):
    """Whose step it was that failed, or who read the stream first."""

    def caller():
        local = Local()
        stream = make()
        return weakref.ref(local), stream

    left, stream = caller()
    gc.collect()
    assert left() is None
    assert caught(lambda: stream.result)


def test_what_a_decoder_raised_is_told_with_its_place():
    """Where the defect is stands in the traceback, though its frames are gone."""
    error = caught(lambda: failing_stream("raise").result)
    told = "".join(traceback.format_exception(error))
    assert "decoder.py" in told
    assert "RuntimeError: " in told


class FromElsewhere(DecodeError):
    """A backend's own class, which wants other arguments."""

    def __init__(self, device: int, *, native: object) -> None:
        super().__init__(f"device {device} fell off", poisoned=True, backend="elsewhere")
        self.device = device
        self.native = native


@pytest.mark.parametrize(
    "error",
    [
        FromElsewhere(3, native=object()),
        *(
            kind("what happened", hint="Look.", native_code=2, native_log=["a"])
            for kind in vars(headrace).values()
            if isinstance(kind, type) and issubclass(kind, HeadraceError)
        ),
        ChatParseError("no message", text="{"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_again_says_all_that_it_said(error):
    """Whatever its class wants to be made of."""
    again = error.again()
    assert again is not error
    assert again.__cause__ is error
    assert (type(again), vars(again), again.args) == (type(error), vars(error), error.args)
    assert str(again) == str(error)
    kept = again.kept()
    assert kept is error


def test_a_note_is_its_callers_own():
    """What one of them adds is not told to the next."""
    error = ClosedError("closed")
    error.__notes__ = ["before"]
    again = error.again()
    again.__notes__.append("mine")
    assert error.again().__notes__ == ["before"]
