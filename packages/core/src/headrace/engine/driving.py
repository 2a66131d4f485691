"""Whoever pulls, drives: taking the role, running one step for everybody, handing it out.

``mutex`` guards the Python state and is held for microseconds; the *role* of
driver guards the decoder and is held for one step. A reader takes the role,
runs one step for everybody who has room, hands the results out and gives the
role up; so there is no thread to leak, to join at exit or to lose in a fork.

A ``KeyboardInterrupt`` may end the driver between any two bytecodes. Therefore
a step is noted in ``_begun`` before it runs, its outcome stays readable in the
decoder, handing out is idempotent, and whoever drives next finishes it first.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import cast

from headrace.engine import drafting, fairness, steps
from headrace.engine.drafters import Drafter
from headrace.engine.generation import EngineGeneration
from headrace.engine.role import Driver, Role
from headrace.engine.sequence import Sequence
from headrace.engine.slots import Slots
from headrace.engine.steps import PlannedRow, Planner, Step
from headrace.engine.waiting import TaskWaiter, ThreadWaiter
from headrace.errors import (
    BusyError,
    ClosedError,
    ContextFullError,
    DecodeError,
    HeadraceError,
)
from headrace.params import ControlVectorUse, EngineParams
from headrace.params.adapters import Use
from headrace.protocols.adapters import AdapterDecoder, AppliedAdapter
from headrace.protocols.decoder import (
    Sampler,
    SequenceDecoder,
    StepOutcome,
    StepStatus,
    Truncation,
    Vocabulary,
)
from headrace.protocols.waist import Delta
from headrace.results import ModelInfo, StopReason

HEARTBEAT = 0.2
"""Seconds after which whoever waits looks by itself whether anyone still drives: a
driver that died between giving up the role and waking its successor is noticed then."""


_WORTH_OVERLAPPING = 0.002
"""Seconds of a step from which the worker thread computes ahead of the tasks it works for.
In a shorter one the event loop would get no turn at the GIL."""


def _applied(use: Use) -> AppliedAdapter:
    """What a decoder is told of an adapter."""
    if isinstance(use, ControlVectorUse):
        layers = (use.first_layer, use.last_layer)
        return AppliedAdapter(use.handle.loaded, use.scale, *layers)
    return AppliedAdapter(use.handle.loaded, use.scale)


class Driving:
    """The half of the engine that runs steps; ``Engine`` adds what sessions ask of it."""

    def __init__(
        self,
        decoder: SequenceDecoder,
        vocabulary: Vocabulary,
        model_info: ModelInfo,
        params: EngineParams,
    ) -> None:
        self.decoder = decoder
        self.info = decoder.info
        self.vocabulary = vocabulary
        self.model_info = model_info
        # Where memory cannot forget its end, one unread token is already one too many
        # for a cancel to be cheap; more would make every cancel a rebuild.
        self.lookahead = 1 if self.info.truncation is Truncation.NONE else params.lookahead
        # Reentrant so that a finalizer or signal handler can tell that it
        # interrupted the engine itself (``_is_owned``) and leave a request.
        self.mutex = threading.RLock()
        self.failure: HeadraceError | None = None
        self._role = Role()
        self._worker = False
        self._worker_waiter = ThreadWaiter()
        self._step_seconds = 0.0
        self._begun: Step | None = None
        self._running: Step | None = None
        self._drafting: tuple[drafting.Request, EngineGeneration] | None = None
        self._step_id = 0
        self._adapters: tuple[Use, ...] | None = ()
        self.slots = Slots(decoder, self.lookahead)
        self._planner = Planner(decoder, self.slots)
        self._sequences: dict[Sequence, None] = {}
        self._active: dict[Sequence, None] = {}
        self._speculating: dict[Sequence, None] = {}
        self._dropped: deque[Sequence] = deque()
        self._closing: Callable[[], None] | None = None
        self._closed = False
        self._closer = ThreadWaiter()
        self._old_samplers: deque[Sampler | Drafter] = deque()

    # -- pulling ----------------------------------------------------------

    def pull(self, generation: EngineGeneration, max_wait: float | None) -> Delta | None:
        """Take what is there, or drive, or wait for the one who drives."""
        deadline = None if max_wait is None else time.monotonic() + max_wait
        while True:
            with self.mutex:
                left, delta = self._look(generation, deadline)
                if left == 0 or delta is not None:
                    return delta
                waiter = generation.waiter
                if not isinstance(waiter, ThreadWaiter):
                    waiter = ThreadWaiter()
                taken = not self._role.free_for_step
                if taken:
                    self._refuse_reentry()
                    self._role.enlist(generation, waiter)
                else:
                    self._role.dismiss(generation)
            if not taken:
                self._try_to_drive(generation, left)
            else:
                waiter.wait(HEARTBEAT if left is None else min(left, HEARTBEAT))

    async def apull(self, generation: EngineGeneration, max_wait: float | None) -> Delta | None:
        """The same for a task: it waits in its event loop, and a worker thread drives for it."""
        import anyio  # noqa: F401  # takes long the first time, and must not do so in the mutex

        deadline = None if max_wait is None else time.monotonic() + max_wait
        while True:
            with self.mutex:
                left, delta = self._look(generation, deadline)
                if left == 0 or delta is not None:
                    return delta
                waiter = generation.waiter
                if not (isinstance(waiter, TaskWaiter) and waiter.of_running_loop()):
                    waiter = TaskWaiter()
                self._role.enlist(generation, waiter)
                if not self._worker:
                    thread = threading.Thread(
                        target=self._work, name="headrace-driver", daemon=True
                    )
                    self._worker = True
                    try:
                        thread.start()
                    except BaseException:
                        self._worker = False
                        raise
                elif self._role.free_for_step:
                    self._worker_waiter.wake()
            # A cancel takes no lock: it may have looked for a waiter before there was one.
            if not generation.ready:
                await waiter.wait(left)

    def _look(
        self, generation: EngineGeneration, deadline: float | None
    ) -> tuple[float | None, Delta | None]:
        """How long its reader may still wait (None: for ever), and what it need not wait for."""
        delta = generation.take()
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if delta is not None or left == 0:
            self._role.dismiss(generation)
        return left, delta

    def _work(self) -> None:
        """Drive for tasks, as long as any of them reads.

        There is one such thread at most. It ends when no task is reading, or when
        all of them have been slow for a while.
        """
        try:
            self._work_while_read()
        except BaseException as error:
            with self.mutex:
                self._worker = False
                for generation in list(self._role.waiting):
                    if isinstance(generation.waiter, TaskWaiter) and not generation.over:
                        generation.error = DecodeError(
                            f"the driving thread ended with {type(error).__name__}: {error}",
                            backend=self.model_info.backend,
                        )
                self._role.wake_ready()
            self._role.wake_tasks()
            raise

    def _work_while_read(self) -> None:
        idle = False
        while True:
            with self.mutex:
                lead = self._lead_for_tasks()
                if lead is None:
                    self._role.wake_ready()  # what an interrupted driver left undone
                if lead is None and (idle or not self._tasks_read()):
                    self._worker = False
                    self._role.wake_tasks()
                    return
            if lead is None or not self._try_to_drive(lead, None, goes_on=True):
                self._role.wake_tasks()
                idle = not self._worker_waiter.wait(HEARTBEAT) and lead is None

    def _lead_for_tasks(self) -> EngineGeneration | None:
        """A generation whose task waits for a step.

        If steps are long enough for the event loop to deliver one while the next
        is computed, also one whose task is not back yet and whose buffer has room.
        """
        for generation in self._role.waiting:
            if isinstance(generation.waiter, TaskWaiter) and not generation.ready:
                return generation
        if self._step_seconds < _WORTH_OVERLAPPING:
            return None
        for sequence in self._active:
            ahead = sequence.generation
            if (
                ahead is not None
                and isinstance(ahead.waiter, TaskWaiter)
                and fairness.runnable(sequence, self.lookahead)
            ):
                return ahead
        return None

    def _tasks_read(self) -> bool:
        return any(
            isinstance(sequence.generation.waiter, TaskWaiter)
            for sequence in self._active
            if sequence.generation is not None and not sequence.generation.over
        )

    def notice(self, generation: EngineGeneration) -> None:
        """Act on a generation that was interrupted or failed, without taking a lock.

        The running step is interrupted when nobody in it wants it any more: a
        shared step is never interrupted for one of its sequences.
        """
        step, drafts = self._running, self._drafting
        if step is not None and step.unwanted:
            self.decoder.interrupt(step.step_id)
        if drafts is not None and (drafts[0].generation.over or drafts[1].over):
            drafts[0].drafter.interrupt()
        waiter = generation.waiter
        if waiter is not None:
            waiter.wake()

    def _refuse_reentry(self) -> None:
        driver = self._role.driver
        if driver is not None and driver.thread == threading.get_ident():
            raise BusyError(
                "the engine is running a step further down on this thread's stack",
                hint="Do not read a stream from a signal handler or finalizer.",
            )

    def _hand_over(self) -> None:
        """Let one waiting reader that still needs a step, or whoever closes, take the role."""
        if self._closing is not None:
            self._closer.wake()
            self._finish_closing()
            return
        with self.mutex:
            self._role.wake_successor()
        if self._worker:
            self._worker_waiter.wake()

    # -- driving ----------------------------------------------------------

    def _try_to_drive(
        self, generation: EngineGeneration, time_limit: float | None, *, goes_on: bool = False
    ) -> bool:
        """Run one step, unless somebody else is running one: then False.

        A driver that goes on wakes the tasks it has served with its next step.
        """
        me = Driver(threading.get_ident())
        try:
            with self.mutex:
                if self._role.free_for_step:
                    self._role.called = False
                    self._role.driver = me
            if self._role.driver is not me:
                return False
            self._drive(generation, time_limit, goes_on=goes_on)
            return True
        finally:
            # First statement, one store: whatever interrupts this block
            # can only come after the role is free again.
            if self._role.driver is me:
                self._role.driver = None
                if not goes_on:
                    self._role.wake_tasks()
                self._hand_over()

    def _drive(
        self, generation: EngineGeneration, time_limit: float | None, *, goes_on: bool
    ) -> None:
        """One step, or none if its reader need not wait. The caller holds the role."""
        try:
            self._finish_begun()
            deadline = None if time_limit is None else time.monotonic() + time_limit
            if goes_on or not generation.ready:
                self._have_drafted(generation, deadline)
            step = self._plan(generation, goes_on)
            if step is not None:
                alone = len(step.rows) == 1 and step.rows[0].generation is generation
                outcome = self._run(step, deadline if alone else None)
                self._finish_begun(outcome)
        except Exception as error:
            # Only exceptions: a KeyboardInterrupt passes, and the next driver
            # finishes what was begun.
            self._break(generation, error)

    def _have_drafted(self, generation: EngineGeneration, deadline: float | None) -> None:
        """Have tokens proposed for all sequences that want it. The caller holds the role."""
        with self.mutex:
            found = [
                drafting.request(each, self.lookahead, self.info) for each in self._speculating
            ]
        for request in found:
            if request is not None:
                self._drafting = (request, generation)
                try:
                    request.fulfil(self.vocabulary, generation, deadline)
                finally:
                    self._drafting = None

    def _plan(self, generation: EngineGeneration, goes_on: bool) -> Step | None:
        with self.mutex:
            self._carry_out_requests()
            ahead = goes_on and fairness.runnable(generation.sequence, self.lookahead)
            if generation.ready and not ahead:
                return None  # the step of an earlier driver, or a request, was all it took
            candidates = steps.runnable(self._active, self.lookahead)
            step = self._planner.plan(candidates, generation.sequence, self._step_id + 1)
            self._role.wake_ready()
            if step is not None:
                self._step_id = step.step_id
                self._begun = step
            return step

    def _run(self, step: Step, deadline: float | None) -> StepOutcome:
        rows = [planned.row for planned in step.rows]
        self.compute_with(step.adapters)
        self._running = step
        started = time.monotonic()
        time_limit = None if deadline is None else max(0.0, deadline - started)
        try:
            # A cancel between planning and here found no running step to interrupt.
            if step.unwanted:
                self.decoder.interrupt(step.step_id)
            self._role.wake_tasks()
            return self.decoder.step(step.step_id, rows, time_limit=time_limit)
        finally:
            self._running = None
            self._step_seconds = step.seconds = time.monotonic() - started

    def compute_with(self, adapters: tuple[Use, ...]) -> None:
        """Have the decoder compute with these from now on; the role is held."""
        if adapters == self._adapters:
            return
        self._adapters = None  # not known, should this be interrupted
        cast("AdapterDecoder", self.decoder).use_adapters([_applied(use) for use in adapters])
        self._adapters = adapters

    def _finish_begun(self, outcome: StepOutcome | None = None) -> None:
        """Hand out the results of a step that was begun, by this driver or one before."""
        step = self._begun
        if step is None:
            return
        if outcome is None:
            outcome = self.decoder.outcome(step.step_id)
        with self.mutex:
            if outcome is not None:
                self._hand_out(step, outcome)
            self._begun = None

    def _break(self, generation: EngineGeneration | None, error: Exception) -> None:
        """Something raised that should not have: end what it concerns, with a typed error."""
        failure = self._typed(error)
        with self.mutex:
            step, self._begun = self._begun, None
            self._fail(step or Step(self._step_id, []), failure)
            if generation is not None and not generation.over:
                generation.error = failure
            self._role.wake_ready()

    def _typed(self, error: Exception) -> HeadraceError:
        """The error itself, or what stands for one that a decoder should not have raised."""
        if isinstance(error, HeadraceError):
            return error
        failure = DecodeError(
            f"the decoder raised {type(error).__name__}: {error}",
            poisoned=True,
            backend=self.model_info.backend,
        )
        failure.__cause__ = error
        return failure

    def _hand_out(self, step: Step, outcome: StepOutcome) -> None:
        if outcome.status is StepStatus.NO_ROOM:
            if not self._planner.make_room(step):
                self._context_full(step.rows[0])
        elif outcome.status is StepStatus.FAILED:
            self._fail(step, outcome.error or DecodeError("the step failed"))
        else:
            for planned, result in zip(step.rows, outcome.rows, strict=True):
                steps.apply(step, planned, result)
            self._planner.learn(step)
        self._role.wake_ready()

    def _context_full(self, planned: PlannedRow) -> None:
        """A lone token found no room in an otherwise empty memory."""
        generation = planned.generation
        if generation.produced:
            generation.end = StopReason.CONTEXT_FULL
        else:
            generation.error = ContextFullError(
                f"the prompt does not fit: memory was full after {planned.row.position} tokens",
                hint="Shorten the prompt, or raise EngineParams.n_ctx.",
                backend=self.model_info.backend,
            )

    # -- endings ----------------------------------------------------------

    def _carry_out_requests(self) -> None:
        """What finalizers and signal handlers left to do, and slots nobody owns any more."""
        self._retire_dropped()
        self._free_samplers()
        self.slots.clear_vacant()

    def _set_aside_sampler(self, generation: EngineGeneration) -> None:
        """Have it freed by the next driver: a step in flight may be sampling with it."""
        if generation.sampler is not None:
            self._old_samplers.append(generation.sampler)
            generation.sampler = None

    def _retire_dropped(self) -> None:
        while self._dropped:
            self._retire(self._dropped.popleft(), ClosedError("the session was closed"))

    def _free_samplers(self) -> None:
        while self._old_samplers:
            self._old_samplers.popleft().close()

    def _retire(self, sequence: Sequence, why: HeadraceError) -> None:
        """Make a sequence unusable; its slot is cleared by the next driver."""
        if sequence.failure is not None:
            return
        sequence.failure = why
        sequence.stored = None
        if sequence.slot is not None:
            self.slots.evict(sequence)
        self._sequences.pop(sequence, None)
        self._active.pop(sequence, None)
        self._speculating.pop(sequence, None)
        if sequence.drafter is not None:
            self._old_samplers.append(sequence.drafter)
            sequence.drafter = None
        generation = sequence.generation
        if generation is not None and generation.report is None:
            generation.error = why
            self._set_aside_sampler(generation)
            self.notice(generation)

    def _fail(self, step: Step, error: HeadraceError) -> None:
        """A whole step failed: end its streams, or all sessions if the context is lost."""
        if isinstance(error, DecodeError) and error.poisoned:
            self.failure = error
            for sequence in list(self._sequences):
                self._retire(sequence, error)
        for planned in step.rows:
            sequence = planned.sequence
            if sequence.slot is not None:
                self.slots.evict(sequence)
            if sequence.generation is planned.generation:
                planned.generation.error = error
        self._role.wake_ready()

    def close(self, then: Callable[[], None]) -> None:
        """End everything with ``ClosedError``, wait for the running step, free the decoder.

        ``then`` is called when that is done: before ``close`` returns, or, if the
        call came from inside a step on this very thread's stack (a finalizer, a
        signal handler), as soon as that step is over.
        """
        reentered = self.mutex._is_owned()  # type: ignore[attr-defined]
        with self.mutex:
            if self._closing is not None or self._closed:
                return
            self.failure = self.failure or ClosedError("the model was closed")
            for sequence in list(self._sequences):
                self._retire(sequence, ClosedError("the model was closed"))
            driver = self._role.driver
            reentered = reentered or (driver is not None and driver.thread == threading.get_ident())
            self._closing = then
        while not reentered and not self._finish_closing():
            self._closer.wait(HEARTBEAT)

    def finish_closing_if_asked(self) -> None:
        """Carry out a close that came from a signal handler while the mutex was held."""
        if self._closing is not None and not self.mutex._is_owned():  # type: ignore[attr-defined]
            self._finish_closing()

    def _finish_closing(self) -> bool:
        """Free the decoder, once, if nobody drives; False while somebody does."""
        with self.mutex:
            if self._role.driver is not None or self._closing is None:
                return self._closed
            # Nobody drives a closed engine: the role is taken for good.
            self._role.driver = Driver(-1)
            then, self._closing = self._closing, None
        try:
            self._free_samplers()
            self.decoder.close()
            then()
        finally:
            self._closed = True
            self._closer.wake()
        return True
