"""The role of driver: who has it, and who waits for the one who has.

The role guards the decoder, as the engine's mutex guards the Python state. It
is held for one step, or by a *caller* for a native call that belongs to no
step. Readers and callers take turns while both wait. Everything here but
``driver`` itself is touched under the mutex.
"""

from __future__ import annotations

import threading
import time

import attrs

from headrace.engine.state import Run
from headrace.engine.waiting import TaskWaiter, ThreadWaiter, Waiter
from headrace.errors import BusyError

_FORGET_CALLER = 1.0
"""Seconds after which a caller that has not looked again gave up without saying so."""


@attrs.define(eq=False)
class Holder:
    """Whoever holds the role; identity is what counts."""

    thread: int


class Role:
    """Who drives and who waits."""

    def __init__(self) -> None:
        self.driver: Holder | None = None
        self.waiting: dict[Run, None] = {}
        self.callers: dict[ThreadWaiter, float] = {}
        """Who waits to make a call outside a step, and when each has looked last."""
        self.called = False
        """Whether the role was last held for a call; the next turn is a step's then."""
        self._due: list[TaskWaiter] = []

    @property
    def free_for_step(self) -> bool:
        """Whether a reader may take the role."""
        if self.driver is not None:
            return False
        return self.called or not self._callers_wait()

    @property
    def free_for_call(self) -> bool:
        """Whether a caller may take the role."""
        if self.driver is not None:
            return False
        return not (self.called and any(not generation.ready for generation in self.waiting))

    def _callers_wait(self) -> bool:
        if not self.callers:
            return False
        oldest = time.monotonic() - _FORGET_CALLER
        return any(looked > oldest for looked in self.callers.values())

    def refuse_reentry(self) -> None:
        """Raise ``BusyError`` inside a step or call of this very thread: it could not end."""
        driver = self.driver
        if driver is not None and driver.thread == threading.get_ident():
            raise BusyError(
                "the engine is running a step further down on this thread's stack",
                hint="Do not read a stream from a signal handler or finalizer.",
            )

    def enlist(self, generation: Run, waiter: Waiter) -> None:
        """Note that a generation's reader is about to wait."""
        generation.waiter = waiter
        if generation not in self.waiting:
            generation.tally.waits += 1
            self.waiting[generation] = None

    def dismiss(self, generation: Run) -> None:
        """Note that its reader waits no more."""
        self.waiting.pop(generation, None)

    def wake_ready(self) -> None:
        """Wake the threads for whom something has come, and note which tasks to wake."""
        for generation in [g for g in self.waiting if g.ready]:
            if isinstance(generation.waiter, TaskWaiter):
                self._due.append(generation.waiter)
            elif generation.waiter is not None:
                generation.waiter.wake()
            del self.waiting[generation]  # last: an interrupt before this wakes twice, not never

    def wake_tasks(self) -> None:
        """Wake the tasks that were noted, all those of an event loop at once.

        Best just before a native call: the loop then has the GIL while that call
        does not need it. Waking earlier, the driver would wait for the loop.
        """
        due, self._due = self._due, []
        try:
            if due:
                TaskWaiter.wake_all(due)
        except BaseException:
            self._due += due  # cut short by an interrupt: once more, with the next step
            raise

    def wake_successor(self) -> None:
        """Wake one caller, and one thread that still needs a step: whose turn it is takes over."""
        for caller in self.callers:
            caller.wake()
            break
        for generation in self.waiting:
            if not generation.ready and isinstance(generation.waiter, ThreadWaiter):
                generation.waiter.wake()
                return
