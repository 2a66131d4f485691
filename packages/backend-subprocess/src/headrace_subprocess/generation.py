"""A generation in the child, as its stream in the parent sees it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from headrace.closing import to_thread
from headrace.copying import Uncopyable
from headrace.errors import BackendCrashedError, ClosedError, HeadraceError
from headrace.protocols.waist import Delta, GenerationReport, Piece
from headrace.results import Receipt, StopReason, Timings, Usage
from headrace_subprocess import wire
from headrace_subprocess.signals import Note, Signal
from headrace_subprocess.worker import Silence, Worker

if TYPE_CHECKING:
    from headrace_subprocess.session import SubprocessSession

WINDOW = 8
"""Deltas the child may be ahead of the reader."""


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
        number: Counts the session's generations.
        carry: What the child says the stream begins with.
    """

    checked = True  # by the child, and what comes over the pipe by the codec

    def __init__(self, session: SubprocessSession, number: int, carry: bytes) -> None:
        self.carry = carry
        self.interrupted: StopReason | None = None
        self.failure: HeadraceError | None = None
        self.report: GenerationReport | None = None
        self.seen = 0
        self._session = session
        self._uses = session.params.uses
        self.number = number
        self._credit = 0
        self._silence = Silence(session.model.worker, "generating")
        self._pulls = 0
        self.reading = False
        self._began = time.monotonic()

    # -- pulling ------------------------------------------------------------

    def pull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.pull``."""
        deadline = None if max_wait is None else time.monotonic() + max_wait
        channel = self._session.current_channel
        self.reading = True
        try:
            while True:
                delta = self._at_once(channel)
                if delta is not None:
                    return delta
                wait, last = self._wait(deadline)
                try:
                    message = channel.receive(wait)
                except wire.Disconnected:
                    return self._disconnected()
                if message is not None:
                    return self._taken(message)
                if last:
                    return None
                if self.interrupted is None:
                    self._silence.over()
        finally:
            self.reading = False

    async def apull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.apull``."""
        import anyio

        deadline = None if max_wait is None else time.monotonic() + max_wait
        channel = self._session.current_channel
        self.reading = True
        try:
            while True:
                delta = self._at_once(channel)
                if delta is not None:
                    return delta
                wait, last = self._wait(deadline)
                with anyio.move_on_after(wait) as scope:
                    await anyio.wait_readable(channel)
                if not scope.cancelled_caught:
                    try:
                        channel.take_in()
                    except wire.Disconnected:
                        return self._disconnected()
                elif last:
                    return None
                elif self.interrupted is None:
                    await to_thread(self._silence.over)
        finally:
            self.reading = False

    def _wait(self, deadline: float | None) -> tuple[float, bool]:
        """Seconds to wait for a message, and whether that is all the reader has."""
        patience = self._worker.limits.watchdog
        if deadline is None:
            return patience, False
        left = max(0.0, deadline - time.monotonic())
        return min(left, patience), left <= patience

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
        except wire.Disconnected:
            return self._disconnected()
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
            pieces = tuple(Piece(*fields) for fields in value[0])
            end = None if value[1] is None else StopReason(value[1])
            for piece in pieces:
                memoryview(piece.data)
        except (TypeError, ValueError, IndexError):
            self.failure = self._worker.nonsense("generating", message)
            raise self.failure.again() from None
        self._pulls += 1
        self._credit -= 1
        return Delta(pieces, end)

    def _give_credit(self, channel: wire.Channel) -> Delta | None:
        """Let the child go on, when it has used half of what it was given."""
        if self._credit > WINDOW // 2:
            return None
        more, self._credit = WINDOW - self._credit, WINDOW
        try:
            channel.send(["more", more, self.seen], self._worker.limits.watchdog)
        except wire.Disconnected:
            return self._disconnected()
        except wire.Stalled:
            raise self._worker.hung("generating") from None
        return None

    def _disconnected(self) -> Delta:
        """What a reader gets that has lost its channel: it was closed here, or the child died."""
        if self.failure is None and self.interrupted is not None:
            return Delta(end=self.interrupted)
        raise (self.failure or self._worker.crashed("generating")).again()

    # -- the rest of the protocol -------------------------------------------

    def deliver(self, pieces: int) -> bool:
        """See ``Generation.deliver``."""
        if self.interrupted is not None or self.report is not None:
            return False
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
            report = self._session.settle(self, reason, seen, carry)
        except (BackendCrashedError, ClosedError):
            report = None
        return report if isinstance(report, GenerationReport) else self._own_report()

    def _own_report(self) -> GenerationReport:
        """What is known here of a generation whose process is gone."""
        return GenerationReport(
            usage=Usage(completion_tokens=self.seen),
            timings=Timings(total_seconds=time.monotonic() - self._began),
            receipt=Receipt(
                backend=self._session.model.info.backend,
                build=self._session.model.info.build,
                seed=None,
                reproducible=False,
                reason="its process is gone",
            ),
        )

    def counters(self) -> tuple[int, int, int]:
        """See ``Generation.counters``."""
        return 0, self._pulls, 0

    def _signal(self, signal: Signal) -> None:
        self._worker.signal(Note(signal, self._session.number, self.number))

    @property
    def _worker(self) -> Worker:
        return self._session.model.worker
