"""Whoever pulls, drives: a reader takes what is there, drives, or waits for the one who does.

A reader takes the role of driver, runs one step for everybody who has room, hands
the results out and gives the role up; so there is no thread to leak, to join at
exit or to lose in a fork. Tasks wait in their event loop, and while any of them
reads one worker thread drives for them.
"""

from __future__ import annotations

import threading
import time
from itertools import zip_longest

from headrace.common.memo import Memo
from headrace.engine import fairness
from headrace.engine.driver import Driver
from headrace.engine.endings import HEARTBEAT
from headrace.engine.role import Role
from headrace.engine.state import EngineState, Run
from headrace.engine.waiting import TaskWaiter, ThreadWaiter
from headrace.errors import DecodeError
from headrace.streams.generation import Delta, Piece

_WORTH_OVERLAPPING = 0.002
"""Seconds of a step from which the worker thread computes ahead of the tasks it works for.
In a shorter one the event loop would get no turn at the GIL."""


class Readers:
    """What readers call."""

    def __init__(self, state: EngineState, role: Role, driver: Driver) -> None:
        self._state = state
        self._mutex = state.mutex
        self._shown = Memo(self._text_of)
        self._role = role
        self._driver = driver

    def pull(self, generation: Run, max_wait: float | None) -> Delta | None:
        """Take what is there, or drive, or wait for the one who drives."""
        deadline = None if max_wait is None else time.monotonic() + max_wait
        while True:
            with self._mutex:
                left, delta = self._look(generation, deadline)
                if left == 0 or delta is not None:
                    return delta
                waiter = generation.waiter
                if not isinstance(waiter, ThreadWaiter):
                    waiter = ThreadWaiter()
                taken = not self._role.free_for_step
                if taken:
                    self._role.refuse_reentry()
                    self._role.enlist(generation, waiter)
                    self._driver.make_way(generation)
                else:
                    self._role.dismiss(generation)
            if not taken:
                self._driver.try_to_drive(generation, left)
            else:
                waiter.wait(HEARTBEAT if left is None else min(left, HEARTBEAT))

    async def apull(self, generation: Run, max_wait: float | None) -> Delta | None:
        """The same for a task: it waits in its event loop, and a worker thread drives for it."""
        import anyio  # noqa: F401  # takes long the first time, and must not do so in the mutex

        deadline = None if max_wait is None else time.monotonic() + max_wait
        while True:
            with self._mutex:
                left, delta = self._look(generation, deadline)
                if left == 0 or delta is not None:
                    return delta
                waiter = generation.waiter
                if not (isinstance(waiter, TaskWaiter) and waiter.of_running_loop()):
                    waiter = TaskWaiter()
                self._role.enlist(generation, waiter)
                self._driver.make_way(generation)
                if not self._state.worker:
                    thread = threading.Thread(
                        target=self._work, name="headrace-driver", daemon=True
                    )
                    self._state.worker = True
                    try:
                        thread.start()
                    except BaseException:
                        self._state.worker = False
                        raise
                elif self._role.free_for_step:
                    self._state.worker_waiter.wake()
            # A cancel takes no lock: it may have looked for a waiter before there was one.
            if not generation.ready:
                await waiter.wait(left)

    def _look(self, generation: Run, deadline: float | None) -> tuple[float | None, Delta | None]:
        """How long its reader may still wait (None: for ever), and what it need not wait for."""
        delta = self._take(generation)
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if delta is not None or left == 0:
            self._role.dismiss(generation)
        return left, delta

    def _take(self, generation: Run) -> Delta | None:
        """What a pull brings at once, if anything."""
        if generation.error is not None:
            raise generation.error.again()
        if generation.interrupted is not None:
            return Delta(end=generation.interrupted)
        if generation.produced == generation.pulled:
            return Delta(end=generation.end) if generation.end is not None else None
        line = generation.sequence.line
        first = generation.start + generation.pulled - line.dropped
        tokens = line[first : first + generation.produced - generation.pulled]
        logprobs = generation.logprobs[generation.pulled : generation.produced]
        generation.pulled = generation.produced
        spoken, shown = generation.spoken, self._shown
        pieces = tuple(
            Piece(token, spoken[token] if token in spoken else shown[token], logprob)
            for token, logprob in zip_longest(tokens, logprobs)
        )
        return Delta(pieces, generation.end)

    def _text_of(self, token: int) -> bytes:
        """What a token is in a stream, unless its text was asked for."""
        vocabulary = self._state.vocabulary
        return b"" if vocabulary.is_eog(token) else vocabulary.piece(token)

    def _work(self) -> None:
        """Drive for tasks, as long as any of them reads.

        There is one such thread at most. It ends when no task is reading, or when
        all of them have been slow for a while.
        """
        try:
            self._work_while_read()
        except BaseException as error:
            with self._mutex:
                self._state.worker = False
                for generation in list(self._role.waiting):
                    if isinstance(generation.waiter, TaskWaiter):
                        self._end_for(generation, error)
            self._role.wake_tasks()
            raise

    def _work_while_read(self) -> None:
        idle = False
        while True:
            with self._mutex:
                lead = self._lead_for_tasks()
                if lead is None:
                    self._role.wake_ready()  # what an interrupted driver left undone
                if lead is None and (idle or not self._tasks_read()):
                    self._state.worker = False
                    self._role.wake_tasks()
                    return
            if lead is None or not self._drive_for(lead):
                self._role.wake_tasks()
                idle = not self._state.worker_waiter.wait(HEARTBEAT) and lead is None

    def _drive_for(self, lead: Run) -> bool:
        """Run a step for a task; what is raised in this thread ends that task's stream alone."""
        try:
            return self._driver.try_to_drive(lead, None, goes_on=True)
        except Exception as error:
            self._end_for(lead, error)
            return True

    def _end_for(self, generation: Run, error: BaseException) -> None:
        with self._mutex:
            if not generation.over:
                failure = DecodeError(
                    f"the driving thread ended with {type(error).__name__}: {error}",
                    backend=self._state.model_info.backend,
                )
                failure.__cause__ = error
                generation.error = failure
            self._role.wake_ready()

    def _lead_for_tasks(self) -> Run | None:
        """A generation whose task waits for a step.

        If steps are long enough for the event loop to deliver one while the next
        is computed, also one whose task is not back yet and whose buffer has room.
        """
        for generation in self._role.waiting:
            if isinstance(generation.waiter, TaskWaiter) and not generation.ready:
                return generation
        if self._state.step_seconds < _WORTH_OVERLAPPING:
            return None
        for sequence in self._state.active:
            ahead = sequence.generation
            if (
                ahead is not None
                and isinstance(ahead.waiter, TaskWaiter)
                and fairness.runnable(sequence, self._state.lookahead)
            ):
                return ahead
        return None

    def _tasks_read(self) -> bool:
        return any(
            isinstance(sequence.generation.waiter, TaskWaiter)
            for sequence in self._state.active
            if sequence.generation is not None and not sequence.generation.over
        )
