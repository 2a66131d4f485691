"""``Pulse``: whether a model makes progress while somebody waits for it.

Each request that waits for a token shows its stream. Steps of it are counted as well as tokens, so
that a long prompt is no standstill; a client that reads slowly waits for nothing, and so its model
owes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import attrs

from headrace import StreamStatistics


class Counted(Protocol):
    """A stream, as far as its progress is concerned."""

    def statistics(self) -> StreamStatistics:
        """What it is doing at the moment."""
        ...


@attrs.define
class _Waiting:
    stream: Counted
    steps: int
    """How many it had when somebody looked last."""


class Pulse:
    """Signs of life of one model.

    Args:
        patience: Seconds without one, while somebody waits, that are taken for a standstill.
        clock: Tells the time, in seconds.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience = patience
        self._clock = clock
        self._waiting: dict[object, _Waiting] = {}
        self._since = clock()
        self._silent_before = 0.0

    @property
    def waiting(self) -> int:
        """Requests that wait for a token at the moment."""
        return len(self._waiting)

    def wait(self, reader: object, stream: Counted) -> None:
        """Note that a reader waits for the next token of a stream."""
        if not self._waiting:
            # Those who gave up have waited too; the time in which nobody did counts for nothing.
            self._since = self._clock() - self._silent_before
        self._waiting[reader] = _Waiting(stream, stream.statistics().steps)

    def beat(self, reader: object) -> None:
        """Note that what a reader waited for has come."""
        self._waiting.pop(reader, None)
        self._since, self._silent_before = self._clock(), 0.0

    def leave(self, reader: object) -> None:
        """Note that a reader waits no more, though nothing has come."""
        if self._waiting.pop(reader, None) is not None and not self._waiting:
            self._silent_before = self._clock() - self._since

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life; 0 where nobody waits for one."""
        if not self._waiting:
            return 0.0
        now = self._clock()
        for each in self._waiting.values():
            steps = each.stream.statistics().steps
            if steps != each.steps:
                each.steps, self._since, self._silent_before = steps, now, 0.0
        return now - self._since

    @property
    def stalled(self) -> bool:
        """Whether that is too long. What comes later is a sign of life again."""
        return self.silence > self.patience
