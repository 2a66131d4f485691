"""What whoever holds the role does: one step for everybody, or one call beside steps.

A ``KeyboardInterrupt`` may end the driver between any two bytecodes. Therefore
a step is noted in ``EngineState.begun`` before it runs, its outcome stays readable in the
decoder, handing out is idempotent, and whoever drives next finishes it first.

Calls beside steps (saving a memory, scoring a text) change what memory holds by the
rules of ``Slots``, so that such an interrupt costs a rebuild at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from headrace.backend.abilities import AppliedAdapter
from headrace.backend.decoder import RowResult, StepOutcome, StepStatus, Truncation
from headrace.common.locks import held_here
from headrace.common.memo import Memo
from headrace.engine import constraints, drafting, fairness, steps, turns
from headrace.engine.checked import PATIENCE, Reported, is_poison
from headrace.engine.endings import HEARTBEAT, Endings
from headrace.engine.role import Holder, Role
from headrace.engine.slots import Slots
from headrace.engine.state import EngineState, PlannedRow, Run, Step
from headrace.engine.waiting import ThreadWaiter
from headrace.errors import BusyError, DecodeError, GrammarError, HeadraceError
from headrace.params import ControlVectorUse
from headrace.params.adapters import Use

_T = TypeVar("_T")


def _applied(use: Use) -> AppliedAdapter:
    """What a decoder is told of an adapter."""
    if isinstance(use, ControlVectorUse):
        layers = (use.first_layer, use.last_layer)
        return AppliedAdapter(use.handle.loaded, use.scale, *layers)
    return AppliedAdapter(use.handle.loaded, use.scale)


class Driver:
    """Takes the role, and does what it is taken for."""

    def __init__(self, state: EngineState, role: Role, slots: Slots, endings: Endings) -> None:
        self._state = state
        self._mutex = state.mutex
        self._decoder = state.decoder
        self._role = role
        self._planner = steps.Planner(state.decoder, slots)
        self._endings = endings
        self._is_eog = Memo(state.vocabulary.is_eog).__getitem__
        self._can_draw_first = state.info.truncation is not Truncation.NONE

    # -- one step -----------------------------------------------------------

    def try_to_drive(
        self, generation: Run, time_limit: float | None, *, goes_on: bool = False
    ) -> bool:
        """Run one step, unless somebody else is running one: then False.

        A driver that goes on wakes the tasks it has served with its next step.
        """
        role = self._role
        me = Holder(threading.get_ident())
        try:
            with self._mutex:
                if role.free_for_step:
                    role.called = False
                    role.driver = me
            if role.driver is not me:
                return False
            self._drive(generation, time_limit, goes_on=goes_on)
            return True
        finally:
            # First statement, one store: whatever interrupts this block
            # can only come after the role is free again.
            if role.driver is me:
                role.driver = None
                if not goes_on:
                    role.wake_tasks()
                self._hand_over()

    def _drive(self, generation: Run, time_limit: float | None, *, goes_on: bool) -> None:
        """One step, or none if its reader need not wait. The caller holds the role."""
        try:
            self._finish_begun()
            deadline = None if time_limit is None else time.monotonic() + time_limit
            if goes_on or not generation.ready:
                self._have_drafted(generation, deadline)
            step = self._plan(generation, goes_on)
            if step is not None and self._constrain(step):
                alone = len(step.rows) == 1 and step.rows[0].generation is generation
                outcome = self._run(step, deadline if alone else None)
                self._finish_begun(outcome)
        except Reported as report:
            # Nothing but what the decoder reports. Whatever else is raised is the caller's own
            # (a signal handler's, memory or stack that ran out): it passes, and the next
            # driver finishes what was begun.
            self._endings.fail_begun(generation, report.error)

    def make_way(self, generation: Run) -> None:
        """Have a step that goes on without a generation end soon; its reader is about to wait."""
        step = self._state.begun
        if step is not None and step.goes_on and generation.sequence not in step.sequences:
            self._endings.recall()

    def _have_drafted(self, generation: Run, deadline: float | None) -> None:
        """Have tokens proposed for all sequences that want it. The caller holds the role."""
        state = self._state
        if not state.speculating:
            return  # as in most engines, at every step
        with self._mutex:
            found = [
                drafting.request(each, state.lookahead, state.info) for each in state.speculating
            ]
        for request in found:
            if request is not None:
                state.proposing = (request.drafter, request.generation, generation)
                try:
                    request.fulfil(state.vocabulary, generation, deadline)
                finally:
                    state.proposing = None

    def _plan(self, generation: Run, goes_on: bool) -> Step | None:
        state = self._state
        with self._mutex:
            self._endings.carry_out_requests()
            ahead = goes_on and fairness.runnable(generation.sequence, state.lookahead)
            if generation.ready and not ahead:
                return None  # the step of an earlier driver, or a request, was all it took
            lookahead = state.lookahead
            candidates = [each for each in state.active if fairness.runnable(each, lookahead)]
            step = self._planner.plan(candidates, generation.sequence, state.step_id + 1)
            self._role.wake_ready()
            if step is not None:
                if not self._role.callers:
                    turns.ask_for_more(step, candidates, lookahead, state.info)
                state.step_id = step.step_id
                state.begun = step
            return step

    def _constrain(self, step: Step) -> bool:
        """Tell the rows of a step what their grammars allow; False if none is left to run.

        It takes longer than the mutex may be held. The step is begun already: should this be
        interrupted, the decoder does not know it, and it is dropped.
        """
        bound = [each for each in step.rows if each.generation.matcher is not None]
        if not bound:
            return True  # as in most steps
        room = self._state.info.n_batch - step.n_tokens
        for planned in bound:
            try:
                runs = constraints.constrain(
                    planned, self._mutex, room, can_draw_first=self._can_draw_first
                )
            except GrammarError as error:
                planned.generation.error = error.kept()
                runs = False
            room -= planned.forced
            if not runs:
                with self._mutex:
                    step.rows.remove(planned)
                    self._role.wake_ready()
        return bool(step.rows)

    def _run(self, step: Step, deadline: float | None) -> StepOutcome:
        state = self._state
        rows = [planned.row for planned in step.rows]
        self.compute_with(step.adapters)
        state.running = step
        started = time.monotonic()
        time_limit = None if deadline is None else max(0.0, deadline - started)
        try:
            # A cancel between planning and here found no running step to interrupt.
            if step.unwanted:
                self._decoder.interrupt(step.step_id)
            self._role.wake_tasks()
            span = turns.SPAN if step.goes_on else 0.0
            outcome = self._decoder.step(step.step_id, rows, time_limit=time_limit, span=span)
            step.ended_by_itself = time_limit is None
            return outcome
        finally:
            state.running = None
            state.step_seconds = step.seconds = time.monotonic() - started

    def compute_with(self, adapters: tuple[Use, ...]) -> None:
        """Have the decoder compute with these from now on; the role is held."""
        state = self._state
        if adapters == state.adapters:
            return
        state.adapters = None  # not known, should this be interrupted
        self._decoder.use_adapters([_applied(use) for use in adapters])
        state.adapters = adapters

    def _finish_begun(self, outcome: StepOutcome | None = None) -> None:
        """Hand out the results of a step that was begun, by this driver or one before."""
        step = self._state.begun
        if step is None:
            return
        if outcome is None:
            rows = [planned.row for planned in step.rows]
            outcome = self._decoder.outcome(step.step_id, rows)
        with self._mutex:
            if outcome is not None:
                self._hand_out(step, outcome)
            self._state.begun = None

    def _hand_out(self, step: Step, outcome: StepOutcome) -> None:
        endings, decoder = self._endings, self._decoder
        if outcome.status is StepStatus.NO_ROOM:
            if not self._planner.make_room(step):
                endings.context_full(step.rows[0])
        elif outcome.status is StepStatus.FAILED:
            failure = DecodeError("the step failed", backend=self._state.model_info.backend)
            endings.fail(step, outcome.error or failure)
        else:
            is_eog = self._is_eog
            for planned, result in zip(step.rows, outcome.rows, strict=True):
                flaw = decoder.flaw(planned.row, result, outcome.status)
                if flaw is None:
                    flaw = self._apply(step, planned, result, is_eog)
                if flaw is not None:
                    endings.fail_row(planned, flaw)
            self._learn(step, outcome)
        self._role.wake_ready()

    def _learn(self, step: Step, outcome: StepOutcome) -> None:
        """Note what can be known of later steps from one that ended well."""
        if step.goes_on:
            step.n_turns = max(1, *(len(result.tokens) for result in outcome.rows))
        self._planner.learn(step)
        state = self._state
        drafting.learn(state, step, outcome)
        if state.lookahead_varies and state.info.max_more:
            state.lookahead = turns.lookahead(step) or state.lookahead

    def _apply(
        self, step: Step, planned: PlannedRow, result: RowResult, is_eog: Callable[[int], bool]
    ) -> HeadraceError | None:
        """Hand out what came of a row; returns why it has failed, if it has."""
        if planned.drawn_first:
            try:
                result = constraints.judge(planned, result, self._state.old_samplers)
            except GrammarError as error:
                return error
        steps.apply(step, planned, result, is_eog)
        if planned.generation.fruitless >= PATIENCE:
            return self._decoder.stuck("step")
        return None

    def _hand_over(self) -> None:
        """Let one waiting reader that still needs a step, or whoever closes, take the role."""
        state = self._state
        if state.closing is not None:
            state.closer.wake()
            self._endings.finish_closing()
            return
        with self._mutex:
            self._role.wake_successor()
        if state.worker:
            state.worker_waiter.wake()

    # -- a call beside steps --------------------------------------------------

    def call(self, action: Callable[[], _T]) -> _T:
        """Run ``action`` while nobody else uses the decoder, after the step that was begun.

        Readers and callers take turns. For threads; a task has a worker thread do it. The mutex
        is not held.

        Raises:
            BusyError: From a signal handler or finalizer inside a step.
            ClosedError, DecodeError: If the engine is unusable by then.
        """
        if held_here(self._mutex):
            raise BusyError(
                "the engine is at work further down on this thread's stack",
                hint="Do not save or score from a signal handler or finalizer.",
            )
        role = self._role
        me = Holder(threading.get_ident())
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
            if role.driver is me:
                role.driver = None
                role.wake_tasks()
            with self._mutex:
                role.callers.pop(waiter, None)
            self._hand_over()
            self._endings.finish_closing_if_asked()

    def _taken_for_call(self, me: Holder, waiter: ThreadWaiter) -> bool:
        """Take the role if it is free for this call, else note that it is waited for."""
        role = self._role
        with self._mutex:
            self._state.check_usable()
            if role.driver is not None:
                role.refuse_reentry()
            if not role.free_for_call:
                role.callers[waiter] = time.monotonic()
                self._endings.recall()
                return False
            role.called = True
            role.driver = me
            return True

    def _settle_before_call(self) -> None:
        """Finish what an interrupted driver began, as the next step would."""
        try:
            self._finish_begun()
        except Reported as report:
            self._endings.fail_begun(None, report.error)
        with self._mutex:
            self._state.check_usable()
            self._endings.carry_out_requests()

    def _after_report(self, report: Reported, me: Holder) -> HeadraceError:
        """What the decoder has reported in a call, which is its sessions' end if it is lost."""
        failure = report.error
        if is_poison(failure) and self._role.driver is me:
            self._endings.fail_begun(None, failure)
            return (self._state.failure or failure).again()
        return failure

    def next_step_id(self) -> int:
        """An id for a native call beside steps; the role is held."""
        self._state.step_id += 1
        return self._state.step_id
