"""A tier-1 generation, with a look at everything it gives and how long it takes.

A stream trusts what comes out of here: that an end is a stop reason, that a
wait is over in time, that what is raised has a type. Generations of the engine
need none of this and say so (``checked``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from headrace.common.bounded import Beside
from headrace.common.seam import Seam
from headrace.common.uncopyable import Uncopyable
from headrace.errors import HeadraceError
from headrace.results import StopReason, Usage

if TYPE_CHECKING:
    from headrace.streams.generation import Delta, Generation, GenerationReport

GRACE = 5.0
"""Seconds a pull may be late before the reader gives it up."""


class CheckedGeneration(Uncopyable):
    """A ``Generation`` that does what the protocol says, or raises a typed error.

    Args:
        generation: What a backend's session supplies.
        backend: Its name, for messages.
    """

    checked = True

    def __init__(self, generation: Generation, backend: str) -> None:
        self.raw = generation
        self._seam = Seam(backend)
        self._running: Beside[object] | None = None

    @staticmethod
    def of(generation: Generation, backend: str) -> Generation:
        """The generation itself if it is checked already, else behind a check."""
        if getattr(generation, "checked", False):
            return generation
        return cast("Generation", CheckedGeneration(generation, backend))

    @property
    def carry(self) -> bytes:
        """See ``Generation.carry``."""
        with self._seam.during("generation.carry"):
            carry = self.raw.carry
        if not isinstance(carry, bytes):
            raise self._seam.breach("generation.carry", f"{carry!r:.60} instead of bytes")
        return carry

    @carry.setter
    def carry(self, carry: bytes) -> None:
        with self._seam.during("generation.carry"):
            self.raw.carry = carry

    @property
    def interrupted(self) -> StopReason | None:
        """See ``Generation.interrupted``."""
        with self._seam.during("generation.interrupted"):
            return self.raw.interrupted

    # -- pulling ------------------------------------------------------------

    def pull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.pull``; what may not last is waited for beside it."""
        limit = self._limit(max_wait)
        with self._seam.during("pull"):
            if limit is None and self._running is None:
                delta: object = self.raw.pull(max_wait)
            else:
                delta = self._pull_beside(max_wait, limit)
        return self._delta("pull", delta, max_wait)

    def _pull_beside(self, max_wait: float | None, limit: float | None) -> object:
        # One that a Ctrl-C has left behind is still running: two at once must never be.
        pull = self._running
        if pull is None:
            pull = self._running = Beside(lambda: self.raw.pull(max_wait), "headrace-pull")
        if not pull.wait(limit):
            raise self._late("pull", max_wait)
        self._running = None
        return pull.taken()

    async def apull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.apull``."""
        import anyio

        limit = self._limit(max_wait)
        with self._seam.during("apull"):
            if limit is None:
                delta: object = await self.raw.apull(max_wait)
            else:
                with anyio.move_on_after(limit) as scope:
                    delta = await self.raw.apull(max_wait)
                if scope.cancelled_caught:
                    raise self._late("apull", max_wait)
        return self._delta("apull", delta, max_wait)

    def _limit(self, max_wait: float | None) -> float | None:
        """Seconds until a pull is given up; None: it may wait as long as it likes."""
        if self.interrupted is not None:
            return GRACE
        return None if max_wait is None else max_wait + GRACE

    def _late(self, call: str, max_wait: float | None) -> HeadraceError:
        asked = "an interrupt" if max_wait is None else f"max_wait={max_wait:.3g}"
        return self._seam.breach(call, f"it has not come back {GRACE:g} seconds after {asked}")

    def _delta(self, call: str, delta: Any, max_wait: float | None) -> Delta | None:
        if delta is None:
            if max_wait is None:
                raise self._seam.breach(call, "None, though it was to wait for something")
            return None
        return checked_delta(self._seam, call, delta)

    # -- the rest -------------------------------------------------------------

    def deliver(self, pieces: int) -> bool:
        """See ``Generation.deliver``."""
        with self._seam.during("deliver"):
            return bool(self.raw.deliver(pieces))

    def interrupt(self, reason: StopReason) -> None:
        """See ``Generation.interrupt``. Takes no lock."""
        with self._seam.during("interrupt"):
            self.raw.interrupt(reason)

    def settle(self, reason: StopReason | None, seen: int, carry: bytes = b"") -> GenerationReport:
        """See ``Generation.settle``."""
        from headrace.streams.generation import GenerationReport

        if self._running is not None and not self._running.wait(0):
            raise self._late("pull", None)  # it is inside the generation still
        with self._seam.during("settle"):
            report = self.raw.settle(reason, seen, carry)
        if not isinstance(report, GenerationReport):
            raise self._seam.breach("settle", f"{report!r:.60} instead of a GenerationReport")
        return report

    def counters(self) -> tuple[int, int, int]:
        """See ``Generation.counters``."""
        with self._seam.during("counters"):
            buffered, steps, waits = self.raw.counters()
        return buffered, steps, waits


def checked_delta(seam: Seam, call: str, delta: Any) -> Delta:
    """A delta that a stream can trust.

    Raises:
        BackendProtocolError: If something else came out of the call.
    """
    from headrace.streams.generation import Delta, Piece

    if not isinstance(delta, Delta):
        raise seam.breach(call, f"{delta!r:.60} instead of a Delta")
    if delta.end is not None and not isinstance(delta.end, StopReason):
        raise seam.breach(call, f"the end {delta.end!r:.60} is no StopReason")
    if not isinstance(delta.stop_string, (str, type(None))):
        raise seam.breach(call, f"the stop string {delta.stop_string!r:.60} is no text")
    if not isinstance(delta.usage, (Usage, type(None))):
        raise seam.breach(call, f"the usage {delta.usage!r:.60} is no Usage")
    if delta.added is not None and not isinstance(delta.added, HeadraceError):
        from headrace.results.chat import ChatChunk

        if not isinstance(delta.added, ChatChunk):
            raise seam.breach(call, f"{delta.added!r:.60} is added instead of a ChatChunk")
    pieces: tuple[Any, ...] = delta.pieces
    for piece in pieces:
        if not isinstance(piece, Piece) or not isinstance(piece.data, bytes):
            raise seam.breach(call, f"the piece {piece!r:.60} has no bytes")
        if piece.token is not None and type(piece.token) is not int:
            kind = type(piece.token).__name__
            raise seam.breach(call, f"token {piece.token!r:.60} is a {kind}, no int")
    return delta
