"""How long a caller waits for the child, which may be slow, hang or be stopped.

The silence is counted in short waits and not by the clock: a program that was itself
stopped for a while has not waited. Between them the caller looks at what else would
end the wait: its own deadline, a task that was cancelled, what the child brings forward
elsewhere.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

from headrace.common.workers import abandoned
from headrace.errors import BackendCrashedError
from headrace.params import IsolationParams


class Watched(Protocol):
    """The child, as far as whoever waits for it needs to know it."""

    @property
    def limits(self) -> IsolationParams:
        """What it may do."""
        ...

    def advances(self) -> Any:
        """What grows as long as anything in it is brought forward."""
        ...

    def hung(self, doing: str) -> BackendCrashedError:
        """End it; the error to raise."""
        ...


_SLICE = 0.5
"""Most seconds of one wait."""
_FEWEST = 8
"""Fewest waits of a whole silence."""


class Expired(Exception):
    """The caller's own deadline has passed."""


class GivenUp(Exception):
    """The task that the thread waits for was cancelled."""


class Patience:
    """What ends the wait for one answer, or for the next of many.

    Args:
        worker: The child.
        doing: What is waited for, for messages.
        until: The caller's deadline on the monotonic clock; None: as long as it takes.
        seconds: Of silence that are a hang; None: the watchdog's, of all that the child does.
        between: Called after each short wait; what it raises ends the wait.
    """

    def __init__(
        self,
        worker: Watched,
        doing: str,
        until: float | None = None,
        *,
        seconds: float | None = None,
        between: Callable[[], None] | None = None,
    ) -> None:
        whole = worker.limits.watchdog if seconds is None else seconds
        self._waits = max(_FEWEST, math.ceil(whole / _SLICE))
        self._wait = whole / self._waits
        self._worker = worker
        self._doing = doing
        self._until = until
        self._asks = seconds is None
        self._between = between
        self._silent = 0
        self._advances: Any = None
        self._abandoned = abandoned()

    @property
    def wait(self) -> float:
        """Seconds to wait now, before ``over`` is called."""
        if self._until is None:
            return self._wait
        return min(self._wait, max(0.0, self._until - time.monotonic()))

    @property
    def expired(self) -> bool:
        """Whether the caller's deadline has passed."""
        return self._until is not None and time.monotonic() >= self._until

    @property
    def last(self) -> bool:
        """Whether this wait may be the one that ends the child."""
        return self._silent + 1 >= self._waits

    def begin(self, until: float | None) -> Patience:
        """Wait anew, until that deadline."""
        self._until = until
        self._silent = 0
        return self

    def heard(self) -> None:
        """Something came: the silence begins anew."""
        self._silent = 0

    def over(self) -> None:
        """To be called after a wait in which nothing came.

        Raises:
            Expired: If the caller's deadline has passed.
            GivenUp: If its task was cancelled.
            BackendCrashedError: If the child has died, or hangs; it was ended.
        """
        if self._between is not None:
            self._between()
        if self._abandoned():
            raise GivenUp
        if self.expired:
            raise Expired
        self._silent += 1
        if self._asks and self._silent * 4 >= self._waits:
            self._look()
        if self._silent >= self._waits:
            raise self._worker.hung(self._doing)

    def _look(self) -> None:
        """See whether the child brought forward anything else; the first look only tells what."""
        advances = self._worker.advances()
        if advances is not None and advances != self._advances:
            self._advances = advances
            self._silent = 0
