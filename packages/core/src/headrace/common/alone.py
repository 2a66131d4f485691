"""Work that one thread at a time does and nobody waits for: others leave it to whoever is at it.

Not a lock that is tried: an exception may fall behind its acquiring or before its release, and
the work would never be done again. Who is at it is one attribute, as the engine's role of driver
is, and giving it up is one store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Alone:
    """Lets one caller at a time do something; one further down the same stack counts as another."""

    def __init__(self) -> None:
        # Held for microseconds, by ``with`` alone; reentrant for signal handlers.
        self._mutex = threading.RLock()
        self._holder: object = None

    def attempt(self, work: Callable[[], object]) -> bool:
        """Do the work unless somebody is at it; tells whether it was done."""
        me = object()
        try:
            with self._mutex:
                if self._holder is None:
                    self._holder = me
            mine = self._holder is me
            if mine:
                work()
            # A name for it, so that an interrupt right after the call is inside the block.
            return mine
        finally:
            # First statement, one store: whatever interrupts this block comes after it.
            if self._holder is me:
                self._holder = None
