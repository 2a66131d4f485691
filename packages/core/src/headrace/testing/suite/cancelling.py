"""Ending a generation early, and what is left then. Judged by events, never by time."""

from __future__ import annotations

import gc
import threading
import time

from headrace.results import Capability, StopReason
from headrace.streams.tokens import TokenStream
from headrace.testing.kit import Kit, expect, expect_equal
from headrace.testing.limits import within
from headrace.testing.rules import rule
from headrace.testing.threads import KIT_THREAD, run_all

_EARLY = (StopReason.CANCELLED, StopReason.CONTEXT_FULL, StopReason.EOG)
"""How a stream ends that was cancelled when it was perhaps over already."""


@rule("cancel.ends")
def ends(kit: Kit) -> None:
    """After cancel() no chunk comes, and the result has what was read."""
    with kit.session() as session:
        stream = kit.stream(session)
        text = "".join(next(stream).text for _ in range(3))
        stream.cancel()
        expect_equal(list(stream), [], "chunks after the cancel")
        expect_equal(stream.result.stop_reason, StopReason.CANCELLED, "stop_reason")
        expect_equal(stream.result.text, text, "text of the result")


@rule("cancel.other_thread")
def other_thread(kit: Kit) -> None:
    # A context large enough that the model is not done before the cancel.
    """A cancel from another thread ends a stream that is being read."""
    with kit.load(n_ctx=4096) as model, model.open_session() as session:
        stream = kit.stream(session)
        began, cancelled = threading.Event(), threading.Event()
        late: list[object] = []
        times = {}

        def read() -> None:
            for chunk in stream:
                began.set()
                if cancelled.is_set():
                    late.append(chunk)
            times["over"] = time.monotonic()

        def cancel() -> None:
            began.wait()
            times["asked"] = time.monotonic()
            stream.cancel()
            cancelled.set()

        run_all(read, cancel)
        expect(stream.result.stop_reason in _EARLY, f"it ended by {stream.result.stop_reason}")
        if "asked" in times:
            kit.note("seconds from cancel to end", max(0.0, times["over"] - times["asked"]))
        # One chunk may be on its way out of the reader's next() when cancel() returns.
        expect(len(late) <= 1, f"{len(late)} chunks came after cancel() had returned")


@rule("cancel.unread")
def unread(kit: Kit) -> None:
    """A stream closed before it was read leaves the session as it was."""
    with kit.session() as session:
        kit.say(session, n=2)
        tokens = Capability.TOKENIZE in kit.model.capabilities
        before = session.tokens if tokens else None
        stream = kit.stream(session, " more")
        stream.close()
        expect_equal(stream.result.stop_reason, StopReason.CANCELLED, "stop_reason")
        expect_equal(stream.result.text, "", "text")
        expect_equal(session.tokens if tokens else None, before, "history")


@rule("cancel.usable")
def usable(kit: Kit) -> None:
    """A session goes on after a cancel."""
    with kit.session() as session:
        for _ in range(3):
            with kit.stream(session) as stream:
                next(stream)
            expect_equal(stream.result.stop_reason, StopReason.CANCELLED, "stop_reason")
        expect(kit.say(session, " and", n=3).text, "nothing was written after three cancels")


@rule("cancel.dropped")
def dropped(kit: Kit) -> None:
    """A stream that is dropped unclosed does not keep its session busy."""
    with kit.session() as session:
        stream = kit.stream(session)
        next(stream)
        del stream
        gc.collect()
        expect(kit.say(session, " and", n=2).text, "nothing was written afterwards")


@rule("cancel.others")
def others(kit: Kit) -> None:
    """A cancelled stream does not disturb those of other sessions."""
    with kit.session() as one, kit.session() as other:
        stays, goes = kit.stream(one, n=12), kit.stream(other)
        next(stays), next(goes)
        goes.cancel()
        for _ in stays:
            pass
        expect_equal(stays.result.stop_reason, StopReason.MAX_TOKENS, "the other's stop_reason")


@rule("cancel.in_time", endless=True)
def in_time(kit: Kit) -> None:
    """A cancel ends a stream within the time that the author states, inside of a step too."""
    slowest = 0.0
    model = kit.load(n_ctx=4096)  # not closed if it is stuck: that would wait for it
    for pause in (0.0, 0.01, 0.1):
        session = model.open_session()
        stream = kit.stream(session, f"{kit.subject.prompt} " * _LONG)
        slowest = max(slowest, _until_over(kit, stream, pause))
        session.close()
    model.close()
    kit.note("seconds from cancel to end", slowest)


_LONG = 50
"""How often a prompt is repeated that is to take a while."""


def _until_over(kit: Kit, stream: TokenStream, pause: float) -> float:
    """Seconds from a cancel in the midst of reading to the end of it."""
    over = threading.Event()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            for _ in stream:
                pass
        except BaseException as error:
            errors.append(error)
        finally:
            over.set()

    threading.Thread(target=read, name=f"{KIT_THREAD}: reader", daemon=True).start()
    over.wait(pause)
    asked = time.monotonic()
    stream.cancel()
    bound = kit.subject.interrupt_seconds
    expect(over.wait(bound), f"{bound:g} s after a cancel the stream was not over")
    if errors:
        raise errors[0]
    return time.monotonic() - asked


@rule("cancel.time_out", endless=True)
def time_out(kit: Kit) -> None:
    """So does a time-out."""
    bound = kit.subject.interrupt_seconds
    model = kit.load(n_ctx=4096)  # not closed if it is stuck
    stream = kit.stream(model.open_session(), f"{kit.subject.prompt} " * _LONG, timeout=0.1)
    began = time.monotonic()
    within(bound + 0.1, lambda: list(stream), "a stream with a time-out of 0.1 s")
    kit.note("seconds past the time-out", max(0.0, time.monotonic() - began - 0.1))
    ends = (StopReason.TIMED_OUT, StopReason.CONTEXT_FULL)
    expect(stream.result.stop_reason in ends, f"it ended by {stream.result.stop_reason}")
    model.close()
