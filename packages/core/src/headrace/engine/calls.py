"""Native calls that belong to no step: saving a memory, scoring a text.

Only the driver touches the decoder. A caller therefore takes the role as a
reader does, for one call, and readers and callers take turns. What memory
holds is changed by the rules of ``Slots``, so that an interrupt between any two
bytecodes costs a rebuild at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from headrace.engine.checked import Reported, is_poison
from headrace.engine.ending import HEARTBEAT
from headrace.engine.pulling import Pulling
from headrace.engine.role import Driver
from headrace.engine.waiting import ThreadWaiter
from headrace.errors import BusyError, HeadraceError

_T = TypeVar("_T")


class Calls(Pulling):
    """What drives steps, and lets others use the decoder between them."""

    def exclusively(self, action: Callable[[], _T]) -> _T:
        """Run ``action`` while nobody else uses the decoder, after the step that was begun.

        For threads; a task has a worker thread do it. The mutex is not held.

        Raises:
            BusyError: From a signal handler or finalizer inside a step.
            ClosedError, DecodeError: If the engine is unusable by then.
        """
        if self.mutex._is_owned():  # type: ignore[attr-defined]
            raise BusyError(
                "the engine is at work further down on this thread's stack",
                hint="Do not save or score from a signal handler or finalizer.",
            )
        me = Driver(threading.get_ident())
        waiter = ThreadWaiter()
        try:
            while not self._taken_for_call(me, waiter):
                waiter.wait(HEARTBEAT)
            self._settle_before_call()
            result = action()
            # A name for it, so that an interrupt right after the call is inside the block.
            return result  # noqa: RET504
        except Reported as report:
            failure = self._after_report(report, me)
            raise failure from failure.__cause__
        finally:
            # First the role, in one store: whatever interrupts this block comes after it.
            if self._role.driver is me:
                self._role.driver = None
                self._role.wake_tasks()
            with self.mutex:
                self._role.callers.pop(waiter, None)
            self._hand_over()
            self.finish_closing_if_asked()

    def _after_report(self, report: Reported, me: Driver) -> HeadraceError:
        """What the decoder has reported in a call, which is its sessions' end if it is lost."""
        failure = report.error
        if is_poison(failure) and self._role.driver is me:
            self._break(None, failure)
            return (self.failure or failure).again()
        return failure

    @property
    def step_id(self) -> int:
        """The latest id of a step."""
        return self._step_id

    def next_step_id(self) -> int:
        """An id for a native call outside a step; the role is held."""
        self._step_id += 1
        return self._step_id

    def _settle_before_call(self) -> None:
        """Finish what an interrupted driver began, as the next step would."""
        try:
            self._finish_begun()
        except Reported as report:
            self._break(None, report.error)
        with self.mutex:
            self._check_usable()
            self._carry_out_requests()

    def _taken_for_call(self, me: Driver, waiter: ThreadWaiter) -> bool:
        """Take the role if it is free for this call, else note that it is waited for."""
        with self.mutex:
            self._check_usable()
            if self._role.driver is not None:
                self._refuse_reentry()
            if not self._role.free_for_call:
                self._role.callers[waiter] = time.monotonic()
                return False
            self._role.called = True
            self._role.driver = me
            return True

    def _check_usable(self) -> None:
        if self.failure is not None:
            raise self.failure.again()
