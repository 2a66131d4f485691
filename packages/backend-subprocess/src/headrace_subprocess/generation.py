"""A generation in the child, as its stream in the parent sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from headrace.common.uncopyable import Uncopyable
from headrace.common.workers import in_worker
from headrace.errors import BackendCrashedError, ClosedError, HeadraceError
from headrace.params import SessionParams
from headrace.results import Receipt, StopReason, Timings, Usage
from headrace.streams.generation import Delta, GenerationReport
from headrace_subprocess import wire
from headrace_subprocess.client import Client
from headrace_subprocess.deltas import unpacked
from headrace_subprocess.patience import Patience
from headrace_subprocess.signals import Note, Signal
from headrace_subprocess.turns import turn
from headrace_subprocess.worker import Worker


class Asked(Protocol):
    """The session whose channel a generation reads."""

    client: Client
    number: int

    @property
    def current_channel(self) -> wire.Channel:
        """The channel as it is."""
        ...

    def settle(
        self,
        generation: RemoteGeneration,
        reason: StopReason | None,
        seen: int,
        carry: bytes,
        until: float,
    ) -> GenerationReport | None:
        """End a generation in the child; None if that cannot be done until then."""
        ...

    def ended(self, generation: RemoteGeneration) -> None:
        """A generation was settled."""
        ...


_T = TypeVar("_T")
WINDOW = 8
"""Deltas the child may be ahead of the reader."""
_INTERRUPTED, _ENDED = 1.0, 5.0
"""Seconds the child has to say how a generation ended: one that was cut short, any other."""


class Grip(Uncopyable):
    """Held by a generation's stream: without one there is no stream, and nobody to end it."""

    def __init__(self, generation: RemoteGeneration) -> None:
        self.generation = generation

    def __del__(self) -> None:
        generation = getattr(self, "generation", None)  # an interrupt may fall into __init__
        if generation is not None and generation.report is None:
            generation.interrupt(StopReason.CANCELLED)


class RemoteGeneration(Uncopyable):
    """Pulls deltas out of a session's channel.

    Args:
        session: Whose channel it is.
        params: Its settings.
        number: Counts the session's generations; 0: one that the child does not know.
        until: When its time is over, on the monotonic clock.
    """

    checked = True  # by the child, and what comes over the pipe by the codec

    def __init__(
        self, session: Asked, params: SessionParams, number: int, until: float | None
    ) -> None:
        self.carry = b""
        self.interrupted: StopReason | None = None
        self.failure: HeadraceError | None = None
        self.report: GenerationReport | None = None
        self.seen = 0
        self._session = session
        self._uses = params.uses
        self.number = number
        self._credit = 0
        self._patience = Patience(session.client.worker, "generating")
        self._until = until
        self._prompt_tokens = 0
        self._pulls = 0
        self.reading = False
        self._began = time.monotonic()

    def began(self, carry: bytes, prompt_tokens: int | None) -> None:
        """The child has begun it: what the stream begins with, and what is known of the prompt."""
        self.carry = carry
        self._prompt_tokens = prompt_tokens or 0

    # -- pulling ------------------------------------------------------------

    def pull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.pull``."""
        patience = self._begin(max_wait)
        channel = self._session.current_channel
        self.reading = True
        try:
            while True:
                delta = self._at_once(channel)
                if delta is not None:
                    return delta
                try:
                    message = channel.receive(patience.wait)
                except wire.Disconnected as error:
                    return self._disconnected(error)
                if message is not None:
                    return self._taken(message)
                if patience.expired:
                    return None
                if self.interrupted is None:
                    patience.over()
        finally:
            self.reading = False

    async def apull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.apull``."""
        import anyio

        patience = self._begin(max_wait)
        channel = self._session.current_channel
        self.reading = True
        try:
            end = time.monotonic() + patience.wait
            while True:
                delta = self._at_once(channel)
                if delta is not None:
                    return delta
                with anyio.move_on_after(max(0.0, end - time.monotonic())) as scope:
                    await anyio.wait_readable(channel)
                if not scope.cancelled_caught:
                    try:
                        channel.take_in()
                    except wire.Disconnected as error:
                        return self._disconnected(error)
                # Bytes that make no message are no reason to wait longer.
                if time.monotonic() < end or channel.holds_message:
                    continue
                if patience.expired:
                    return None
                if self.interrupted is None and patience.last:
                    await in_worker(patience.over)  # it may have to end the child
                elif self.interrupted is None:
                    patience.over()
                end = time.monotonic() + patience.wait
        finally:
            self.reading = False

    def _begin(self, max_wait: float | None) -> Patience:
        return self._patience.begin(None if max_wait is None else time.monotonic() + max_wait)

    def _at_once(self, channel: wire.Channel) -> Delta | None:
        """What needs no waiting: an end that was asked for, or a message that has arrived."""
        if self.failure is not None:
            raise self.failure.again()
        if self.interrupted is not None:
            return Delta(end=self.interrupted)
        for use in self._uses:
            use.handle.check_open()
        try:
            message = channel.buffered()
        except wire.Disconnected as error:
            return self._disconnected(error)
        if message is not None:
            return self._taken(message)
        return self._give_credit(channel)

    def _taken(self, message: Any) -> Delta:
        kind, value = self._worker.parsed(message, "generating")
        if kind in ("failed", "error") and isinstance(value, HeadraceError):
            self.failure = value
            raise value.again()
        try:
            if kind != "delta":
                raise ValueError
            delta = unpacked(*value)
        except (TypeError, ValueError):
            self.failure = self._worker.nonsense("generating", message)
            raise self.failure.again() from None
        self._pulls += 1
        self._credit -= 1
        return delta

    def _give_credit(self, channel: wire.Channel) -> Delta | None:
        """Let the child go on, when it has used half of what it was given."""
        if self._credit > WINDOW // 2:
            return None
        more, self._credit = WINDOW - self._credit, WINDOW
        try:
            channel.send(["more", more, self.seen], self._patience)
        except wire.Disconnected as error:
            return self._disconnected(error)
        return None

    def _disconnected(self, why: wire.Disconnected) -> Delta:
        """What a reader gets that has lost its channel: it was closed here, or the child died."""
        if self.failure is None and self.interrupted is not None:
            return Delta(end=self.interrupted)
        if self.failure is None and isinstance(why, wire.Garbled):
            self.failure = self._worker.nonsense("generating", None)
        raise (self.failure or self._worker.crashed("generating")).again()

    # -- the rest of the protocol -------------------------------------------

    def deliver(self, pieces: int) -> bool:
        """See ``Generation.deliver``."""
        if self.interrupted is not None or self.report is not None:
            return False
        if self.failure is not None:
            raise self.failure.again()
        self.seen += pieces
        return True

    def interrupt(self, reason: StopReason) -> None:
        """See ``Generation.interrupt``. Takes no lock: a write to a pipe."""
        if self.interrupted is None:
            self.interrupted = reason
        self._signal(Signal.TIME_OUT if reason is StopReason.TIMED_OUT else Signal.CANCEL)

    def settle(self, reason: StopReason | None, seen: int, carry: bytes = b"") -> GenerationReport:
        """See ``Generation.settle``."""
        if self.report is None:
            self.seen, self.carry = seen, carry
            self.report = self._settled(reason, seen, carry)
        self._session.ended(self)
        return self.report

    def _settled(self, reason: StopReason | None, seen: int, carry: bytes) -> GenerationReport:
        # The child may be ahead of what ended the stream here, a stop string for example.
        self._signal(Signal.CANCEL)
        try:
            report = self._session.settle(self, reason, seen, carry, self._time_to_settle(reason))
        except (BackendCrashedError, ClosedError):
            report = None
        return report if isinstance(report, GenerationReport) else self._own_report()

    def _time_to_settle(self, reason: StopReason | None) -> float:
        """Until when the child may take to say how it ended: a stream's end does not hang."""
        now = time.monotonic()
        if reason is None or self.interrupted is not None:
            return now + _INTERRUPTED
        if self._until is None:
            return now + _ENDED
        return min(now + _ENDED, max(now, self._until) + _INTERRUPTED)

    async def aside(self, end: Callable[[], _T]) -> _T:
        """Have a worker thread do what calls ``settle``, which asks the child."""
        import anyio

        with anyio.CancelScope(shield=True):
            async with turn(self._session.client):
                done = await in_worker(end)
        return done  # not inside: to mypy, a scope may swallow what is raised in it

    def _own_report(self) -> GenerationReport:
        """What is known here of a generation whose process is gone, or does not answer."""
        gone = self._worker.ended
        return GenerationReport(
            usage=Usage(prompt_tokens=self._prompt_tokens, completion_tokens=self.seen),
            timings=Timings(total_seconds=time.monotonic() - self._began),
            receipt=Receipt(
                backend=self._session.client.info.backend,
                build=self._session.client.info.build,
                seed=None,
                reproducible=False,
                reason="its process is gone" if gone else "its process did not answer",
            ),
        )

    def counters(self) -> tuple[int, int, int]:
        """See ``Generation.counters``."""
        return 0, self._pulls, 0

    def _signal(self, signal: Signal) -> None:
        self._worker.signal(Note(signal, self._session.number, self.number))

    @property
    def _worker(self) -> Worker:
        return self._session.client.worker
