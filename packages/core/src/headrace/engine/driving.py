"""Taking the role of driver, running one step for everybody, handing it out.

A ``KeyboardInterrupt`` may end the driver between any two bytecodes. Therefore
a step is noted in ``_begun`` before it runs, its outcome stays readable in the
decoder, handing out is idempotent, and whoever drives next finishes it first.
"""

from __future__ import annotations

import threading
import time

from headrace.backend.abilities import AppliedAdapter
from headrace.backend.decoder import StepOutcome, StepStatus
from headrace.engine import drafting, fairness, steps
from headrace.engine.checked import PATIENCE, Reported
from headrace.engine.ending import Ending
from headrace.engine.generation import EngineGeneration
from headrace.engine.role import Driver
from headrace.engine.steps import PlannedRow, Step
from headrace.errors import ContextFullError, DecodeError, HeadraceError
from headrace.params import ControlVectorUse
from headrace.params.adapters import Use
from headrace.results import StopReason


def _applied(use: Use) -> AppliedAdapter:
    """What a decoder is told of an adapter."""
    if isinstance(use, ControlVectorUse):
        layers = (use.first_layer, use.last_layer)
        return AppliedAdapter(use.handle.loaded, use.scale, *layers)
    return AppliedAdapter(use.handle.loaded, use.scale)


class Driving(Ending):
    """What runs steps."""

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
        except Reported as report:
            # Nothing but what the decoder reports. Whatever else is raised is the caller's own
            # (a signal handler's, memory or stack that ran out): it passes, and the next
            # driver finishes what was begun.
            self._break(generation, report.error)

    def _have_drafted(self, generation: EngineGeneration, deadline: float | None) -> None:
        """Have tokens proposed for all sequences that want it. The caller holds the role."""
        if not self._speculating:
            return  # as in most engines, at every step
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
            outcome = self.decoder.step(step.step_id, rows, time_limit=time_limit)
            step.ended_by_itself = time_limit is None
            return outcome
        finally:
            self._running = None
            self._step_seconds = step.seconds = time.monotonic() - started

    def compute_with(self, adapters: tuple[Use, ...]) -> None:
        """Have the decoder compute with these from now on; the role is held."""
        if adapters == self._adapters:
            return
        self._adapters = None  # not known, should this be interrupted
        self.decoder.use_adapters([_applied(use) for use in adapters])
        self._adapters = adapters

    def _finish_begun(self, outcome: StepOutcome | None = None) -> None:
        """Hand out the results of a step that was begun, by this driver or one before."""
        step = self._begun
        if step is None:
            return
        if outcome is None:
            rows = [planned.row for planned in step.rows]
            outcome = self.decoder.outcome(step.step_id, rows)
        with self.mutex:
            if outcome is not None:
                self._hand_out(step, outcome)
            self._begun = None

    def _break(self, generation: EngineGeneration | None, error: HeadraceError) -> None:
        """The decoder has failed: end what it concerns."""
        with self.mutex:
            step, self._begun = self._begun, None
            self._fail(step or Step(self._step_id, []), error)
            if generation is not None and not generation.over:
                generation.error = error
            self._role.wake_ready()

    def _hand_out(self, step: Step, outcome: StepOutcome) -> None:
        if outcome.status is StepStatus.NO_ROOM:
            if not self._planner.make_room(step):
                self._context_full(step.rows[0])
        elif outcome.status is StepStatus.FAILED:
            failure = DecodeError("the step failed", backend=self.model_info.backend)
            self._fail(step, outcome.error or failure)
        else:
            for planned, result in zip(step.rows, outcome.rows, strict=True):
                flaw = self.decoder.flaw(planned.row, result, outcome.status)
                if flaw is None:
                    steps.apply(step, planned, result)
                    if planned.generation.fruitless >= PATIENCE:
                        self._fail_row(planned, self.decoder.stuck("step"))
                else:
                    self._fail_row(planned, flaw)
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
