"""``EngineGeneration``: what a stream holds of a generation that the engine runs.

Tokens come in from the driver at one end and leave through ``pull`` at the other; in between they
are only a count in the generation's record, because they stand in the sequence's line already. What
the reader was shown is counted by ``deliver``.
"""

from __future__ import annotations

from headrace.common.uncopyable import Uncopyable
from headrace.engine.engine import Engine
from headrace.engine.state import Run
from headrace.results import StopReason
from headrace.streams.generation import Delta, GenerationReport


class EngineGeneration(Uncopyable):
    """A ``Generation`` over the record of one.

    Args:
        engine: Whose it is.
        run: The record.
    """

    checked = True

    def __init__(self, engine: Engine, run: Run) -> None:
        self.run = run
        self._mutex = engine.mutex
        self._readers = engine.readers
        self._endings = engine.endings

    @property
    def carry(self) -> bytes:
        """See ``Generation.carry``."""
        return self.run.carry

    @carry.setter
    def carry(self, carry: bytes) -> None:
        self.run.carry = carry

    @property
    def interrupted(self) -> StopReason | None:
        """See ``Generation.interrupted``."""
        return self.run.interrupted

    def pull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.pull``."""
        run = self.run
        run.wanted = True
        try:
            return self._readers.pull(run, max_wait)
        finally:
            run.wanted = False
            self._endings.finish_closing_if_asked()

    async def apull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.apull``."""
        run = self.run
        run.wanted = True
        try:
            return await self._readers.apull(run, max_wait)
        finally:
            run.wanted = False
            self._endings.finish_closing_if_asked()

    def deliver(self, pieces: int) -> bool:
        """See ``Generation.deliver``."""
        run = self.run
        with self._mutex:
            if run.interrupted is not None or run.report is not None:
                return False
            if run.error is not None:
                raise run.error.again()
            run.seen += pieces
            return True

    def interrupt(self, reason: StopReason) -> None:
        """See ``Generation.interrupt``. Takes no lock: it may run in a signal handler."""
        self._endings.interrupt(self.run, reason)

    def settle(self, reason: StopReason | None, seen: int, carry: bytes = b"") -> GenerationReport:
        """See ``Generation.settle``."""
        run = self.run
        with self._mutex:
            if run.report is None:
                run.seen, run.carry = seen, carry
            return self._endings.settle(run)

    def counters(self) -> tuple[int, int, int]:
        """See ``Generation.counters``."""
        run = self.run
        return run.produced - run.pulled, run.tally.steps, run.tally.waits
