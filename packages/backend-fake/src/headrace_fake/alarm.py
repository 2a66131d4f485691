"""A wait that another thread, a finalizer or a signal handler can end without taking a lock."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque

_LONGEST_WAIT = threading.TIMEOUT_MAX


class Alarm:
    """Ends the wait of one step, named by its id.

    ``threading.Event`` would not do: its ``set`` takes a lock that the waiting
    thread may be holding at the very moment a signal handler calls it.
    """

    def __init__(self) -> None:
        self._asked: deque[int] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()

    def ring(self, step_id: int) -> None:
        """End the wait of that step, now or when it begins."""
        self._asked.append(step_id)
        with contextlib.suppress(RuntimeError):  # it rings already
            self._bell.release()

    def rung(self, step_id: int) -> bool:
        """Whether that step was asked to end; forgets what older steps were asked."""
        found = False
        for _ in range(len(self._asked)):
            asked = self._asked.popleft()
            found = found or asked == step_id
            if asked > step_id:
                self._asked.append(asked)
        return found

    def wait(self, step_id: int, seconds: float) -> float:
        """Wait, and return how long it was: less than ``seconds`` if the alarm rang."""
        began = time.monotonic()
        waited = 0.0
        while waited < seconds:
            self._bell.acquire(timeout=min(seconds - waited, _LONGEST_WAIT))
            waited = time.monotonic() - began
            if self._asked and self.rung(step_id):
                return min(waited, seconds)
        return seconds
