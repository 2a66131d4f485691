"""How a reader waits for a step that another reader drives.

A waker must be safe in a signal handler and in a finalizer, which may run
inside the very wait they end: so these are bare locks, whose release takes no
other lock, instead of ``threading.Event``.
"""

from __future__ import annotations

import _thread
import contextlib
from typing import Protocol


class Waiter(Protocol):
    """One parked reader."""

    def wake(self) -> None:
        """Let it look again. Never blocks, never raises; waking twice is waking once."""
        ...


class ThreadWaiter:
    """Parks a thread. A wake that comes before the wait is not lost."""

    def __init__(self) -> None:
        self._gate = _thread.allocate_lock()
        self._gate.acquire()

    def wake(self) -> None:
        """Open the gate for one wait."""
        with contextlib.suppress(RuntimeError):  # open already
            self._gate.release()

    def wait(self, timeout: float) -> None:
        """Return after a wake or after ``timeout`` seconds."""
        self._gate.acquire(timeout=max(0.0, timeout))
