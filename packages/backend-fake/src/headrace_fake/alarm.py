"""A wait that another thread, a finalizer or a signal handler can end without taking a lock."""

from __future__ import annotations

import contextlib
import threading
import time

from headrace.backend import serial_decoder

_LONGEST_WAIT = threading.TIMEOUT_MAX


class Alarm(serial_decoder.Alarm):
    """Ends the wait of one step, named by its id.

    ``threading.Event`` would not do: its ``set`` takes a lock that the waiting
    thread may be holding at the very moment a signal handler calls it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bell = threading.Lock()
        self._bell.acquire()

    def ring(self, step_id: int) -> None:
        """End the wait of that step, now or when it begins."""
        super().ring(step_id)
        with contextlib.suppress(RuntimeError):  # it rings already
            self._bell.release()

    def wait(self, step_id: int, seconds: float) -> float:
        """Wait, and return how long it was: less than ``seconds`` if the alarm rang."""
        began = time.monotonic()
        waited = 0.0
        while waited < seconds:
            self._bell.acquire(timeout=min(seconds - waited, _LONGEST_WAIT))
            waited = time.monotonic() - began
            if self.rung(step_id):
                return min(waited, seconds)
        return seconds
