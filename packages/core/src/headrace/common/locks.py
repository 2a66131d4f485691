"""What a signal handler or finalizer has to know of a lock before it takes it."""

from __future__ import annotations

import threading


def held_here(lock: threading.RLock) -> bool:
    """Whether this thread holds the lock already, further down on its stack."""
    return bool(lock._is_owned())  # type: ignore[attr-defined]
