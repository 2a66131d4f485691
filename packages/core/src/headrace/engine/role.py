"""The role of driver: who has it, and which readers wait for the one who has.

The role guards the decoder, as the engine's mutex guards the Python state. It
is held for one step. Everything here but ``driver`` itself is touched under
the mutex.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from headrace.engine.generation import EngineGeneration
    from headrace.engine.waiting import Waiter


@attrs.define(eq=False)
class Driver:
    """Whoever holds the role; identity is what counts."""

    thread: int


class Role:
    """Who drives and who waits."""

    def __init__(self) -> None:
        self.driver: Driver | None = None
        self._waiting: dict[EngineGeneration, None] = {}

    def enlist(self, generation: EngineGeneration, waiter: Waiter) -> None:
        """Note that a generation's reader is about to wait."""
        generation.waiter = waiter
        if generation not in self._waiting:
            generation.waits += 1
            self._waiting[generation] = None

    def dismiss(self, generation: EngineGeneration) -> None:
        """Note that its reader waits no more."""
        self._waiting.pop(generation, None)

    def wake_ready(self) -> None:
        """Wake the readers for whom something has come."""
        for generation in [g for g in self._waiting if g.ready]:
            del self._waiting[generation]
            if generation.waiter is not None:
                generation.waiter.wake()

    def wake_successor(self) -> None:
        """Wake one reader that still needs a step, so that it takes the role."""
        for generation in self._waiting:
            if not generation.ready and generation.waiter is not None:
                generation.waiter.wake()
                return
