"""One request at a time over a channel: threads that share a session take turns.

Not a lock, because an exception may fall between any two bytecodes: behind the acquiring of
a lock, or before its release, and the session would be at work for ever. Who has the turn is
one attribute, as the engine's role of driver is, and giving it up is one store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import attrs

from headrace.engine.waiting import ThreadWaiter
from headrace.errors import BusyError
from headrace_subprocess.patience import Expired

_HEARTBEAT = 0.2
"""Seconds after which whoever waits looks by itself: a wake may have been cut short."""
_T = TypeVar("_T")


@attrs.define(eq=False)
class _Holder:
    """Whoever has the turn; identity is what counts."""

    thread: int


class Exclusion:
    """Lets one thread at a time do something."""

    def __init__(self) -> None:
        # Held for microseconds, by ``with`` alone; reentrant for signal handlers.
        self._mutex = threading.RLock()
        self._holder: _Holder | None = None
        self._waiting: dict[ThreadWaiter, None] = {}

    def run(self, action: Callable[[], _T], until: float | None = None) -> _T:
        """Do something when it is this thread's turn.

        Args:
            action: What to do.
            until: The caller's deadline on the monotonic clock.

        Raises:
            BusyError: For a signal handler inside another turn of the same thread.
            Expired: If the deadline passes.
        """
        holder = self._holder
        if holder is not None and holder.thread == threading.get_ident():
            raise BusyError(
                "the session is at work further down on the same thread's stack",
                hint="In a signal handler, cancel a stream instead.",
            )
        me, waiter = _Holder(threading.get_ident()), ThreadWaiter()
        try:
            while not self._taken(me, waiter):
                left = _HEARTBEAT if until is None else until - time.monotonic()
                if left <= 0:
                    raise Expired
                waiter.wait(min(left, _HEARTBEAT))
            result = action()
            # A name for it, so that an interrupt right after the call is inside the block.
            return result  # noqa: RET504
        finally:
            # First statement, one store: whatever interrupts this block comes after it.
            if self._holder is me:
                self._holder = None
            self._wake_next(waiter)

    def _taken(self, me: _Holder, waiter: ThreadWaiter) -> bool:
        with self._mutex:
            if self._holder is None:
                self._holder = me
                self._waiting.pop(waiter, None)
                return True
            self._waiting[waiter] = None
            return False

    def _wake_next(self, mine: ThreadWaiter) -> None:
        with self._mutex:
            self._waiting.pop(mine, None)
            for waiter in self._waiting:
                waiter.wake()
                return
