"""The role of driver: who has it, and which readers wait for the one who has.

The role guards the decoder, as the engine's mutex guards the Python state. It
is held for one step. Everything here but ``driver`` itself is touched under
the mutex.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from headrace.engine.waiting import TaskWaiter, ThreadWaiter, Waiter

if TYPE_CHECKING:
    from headrace.engine.generation import EngineGeneration


@attrs.define(eq=False)
class Driver:
    """Whoever holds the role; identity is what counts."""

    thread: int


class Role:
    """Who drives and who waits."""

    def __init__(self) -> None:
        self.driver: Driver | None = None
        self.waiting: dict[EngineGeneration, None] = {}
        self._due: list[TaskWaiter] = []

    def enlist(self, generation: EngineGeneration, waiter: Waiter) -> None:
        """Note that a generation's reader is about to wait."""
        generation.waiter = waiter
        if generation not in self.waiting:
            generation.waits += 1
            self.waiting[generation] = None

    def dismiss(self, generation: EngineGeneration) -> None:
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
        if due:
            TaskWaiter.wake_all(due)

    def wake_successor(self) -> None:
        """Wake one thread that still needs a step, so that it takes the role."""
        for generation in self.waiting:
            if not generation.ready and isinstance(generation.waiter, ThreadWaiter):
                generation.waiter.wake()
                return
