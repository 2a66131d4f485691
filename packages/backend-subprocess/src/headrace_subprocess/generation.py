"""A generation in the child, as its stream in the parent sees it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from headrace.errors import BackendCrashedError, HeadraceError
from headrace.protocols.waist import Delta, GenerationReport, Piece
from headrace.results import Receipt, StopReason, Timings, Usage
from headrace_subprocess import wire
from headrace_subprocess.signals import Note, Signal
from headrace_subprocess.worker import Worker

if TYPE_CHECKING:
    from headrace_subprocess.session import SubprocessSession

WINDOW = 8
"""Deltas the child may be ahead of the reader."""


class RemoteGeneration:
    """Pulls deltas out of a session's channel.

    Args:
        session: Whose channel it is.
        number: Counts the session's generations.
        carry: What the child says the stream begins with.
    """

    def __init__(self, session: SubprocessSession, number: int, carry: bytes) -> None:
        self.carry = carry
        self.interrupted: StopReason | None = None
        self.failure: HeadraceError | None = None
        self.report: GenerationReport | None = None
        self.seen = 0
        self._session = session
        self._number = number
        self._credit = 0
        self._steps_seen = -1
        self._pulls = 0
        self._began = time.monotonic()

    # -- pulling ------------------------------------------------------------

    def pull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.pull``."""
        deadline = None if max_wait is None else time.monotonic() + max_wait
        while True:
            delta = self._at_once()
            if delta is not None:
                return delta
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            patience = self._worker.limits.watchdog
            wait = patience if left is None else min(left, patience)
            try:
                message = self._channel.receive(wait)
            except wire.Disconnected:
                raise self._lost() from None
            if message is not None:
                return self._taken(message)
            if self.interrupted is None:
                if left is not None and left <= patience:
                    return None
                self._check_alive()

    async def apull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.apull``."""
        import anyio

        deadline = None if max_wait is None else time.monotonic() + max_wait
        while True:
            delta = self._at_once()
            if delta is not None:
                return delta
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            patience = self._worker.limits.watchdog
            with anyio.move_on_after(patience if left is None else min(left, patience)) as scope:
                await anyio.wait_readable(self._channel)
            try:
                if not scope.cancelled_caught:
                    self._channel.take_in()
                    continue
            except wire.Disconnected:
                raise self._lost() from None
            if self.interrupted is None:
                if left is not None and left <= patience:
                    return None
                self._check_alive()

    def _at_once(self) -> Delta | None:
        """What needs no waiting: an end that was asked for, or a message that has arrived."""
        if self.failure is not None:
            raise self.failure
        if self.interrupted is not None:
            return Delta(end=self.interrupted)
        try:
            message = self._channel.buffered()
        except wire.Disconnected:
            raise self._lost() from None
        if message is not None:
            return self._taken(message)
        self._give_credit()
        return None

    def _taken(self, message: Any) -> Delta:
        kind, value = message
        if kind in ("failed", "error"):
            self.failure = value
            raise value
        if kind != "delta":
            raise self._worker.crashed(f"generating: it sent {kind!r}")
        self._pulls += 1
        pieces = tuple(Piece(*fields) for fields in value[0])
        end = None if value[1] is None else StopReason(value[1])
        self._credit -= 1
        return Delta(pieces, end)

    def _give_credit(self) -> None:
        """Let the child go on, when it has used half of what it was given."""
        if self._credit > WINDOW // 2:
            return
        more, self._credit = WINDOW - self._credit, WINDOW
        try:
            self._channel.send(("more", more, self.seen))
        except wire.Disconnected:
            raise self._lost() from None

    def _lost(self) -> HeadraceError:
        """Why there is nothing at the other end: it was closed here, or it died."""
        return self.failure or self._worker.crashed("generating")

    def _check_alive(self) -> None:
        """After a long silence: raise unless the child brought something forward meanwhile."""
        steps = self._session.model.call("steps")
        if steps == self._steps_seen:
            raise self._worker.hung("generating")
        self._steps_seen = steps

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
            report = self._session.settle(reason, seen, carry)
        except BackendCrashedError:
            report = None
        return report or self._own_report()

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
        self._worker.signal(Note(signal, self._session.number, self._number))

    @property
    def _worker(self) -> Worker:
        return self._session.model.worker

    @property
    def _channel(self) -> wire.Channel:
        return self._session.channel
