"""Many sessions and many threads on one model."""

from __future__ import annotations

import contextlib
import threading

from headrace.errors import ClosedError
from headrace.results import StopReason
from headrace.testing.kit import Kit, expect, expect_equal
from headrace.testing.rules import rule
from headrace.testing.threads import run_all


@rule("threads.share")
def share(kit: Kit) -> None:
    """Threads with sessions of their own each get all of their tokens."""
    done: dict[int, StopReason] = {}

    def talk(number: int) -> None:
        with kit.session() as session:
            for _ in range(2):
                done[number] = kit.say(session, f"thread {number}", n=8).stop_reason

    kit.session().close()  # loads the model
    run_all(*(lambda number=number: talk(number) for number in range(6)))
    expect_equal(set(done.values()), {StopReason.MAX_TOKENS}, "ends")
    expect_equal(len(done), 6, "threads that came to an end")


@rule("threads.move")
def move(kit: Kit) -> None:
    """A session may move between threads."""
    texts: list[str] = []
    with kit.session() as session:
        for _ in range(2):
            run_all(lambda: texts.append(kit.say(session, n=3).text))
    expect(len(texts) == 2 and all(texts), f"two threads wrote {texts}")


@rule("threads.no_seats")
def no_seats(kit: Kit) -> None:
    """More streams than sequences flow, whichever is read first."""
    with kit.load(n_sequences=2) as model:
        sessions = [model.open_session() for _ in range(5)]
        streams = [kit.stream(each, f"prompt {i}", n=6) for i, each in enumerate(sessions)]
        for stream in streams:
            next(stream)
        for stream in reversed(streams):
            list(stream)
        ends = {stream.result.stop_reason for stream in streams}
        expect_equal(ends, {StopReason.MAX_TOKENS}, "ends")


@rule("threads.close", endless=True)
def close(kit: Kit) -> None:
    """Closing the model ends the streams of other threads with ClosedError."""
    model = kit.load(n_ctx=4096)
    started = threading.Barrier(3)
    ends: list[str] = []

    def read(number: int) -> None:
        try:
            stream = kit.stream(model.open_session(), f"{number}")
            next(stream)
        except BaseException:
            started.abort()
            raise
        started.wait()
        try:
            for _ in stream:
                pass
            ends.append(str(stream.result.stop_reason))
        except ClosedError:
            ends.append("closed")

    def end() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            started.wait()
        model.close()

    run_all(lambda: read(0), lambda: read(1), end)
    expect(
        len(ends) == 2 and set(ends) <= {"closed", str(StopReason.CONTEXT_FULL)},
        f"two streams ended by {ends}",
    )
    expect("closed" in ends, f"no stream ended by the close, but by {ends}")
