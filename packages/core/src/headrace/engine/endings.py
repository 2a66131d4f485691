"""How things end: streams, sessions, and the engine itself.

What comes from a finalizer, a signal handler or another thread takes no lock here: it leaves a
request, which whoever drives next carries out.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from headrace.common.locks import held_here
from headrace.engine.checked import is_poison
from headrace.engine.reports import make_report
from headrace.engine.role import Holder, Role
from headrace.engine.slots import Slots
from headrace.engine.state import EngineState, PlannedRow, Run, Sequence, Step
from headrace.errors import ClosedError, ContextFullError, DecodeError, HeadraceError
from headrace.results import StopReason
from headrace.streams.generation import GenerationReport

_log = logging.getLogger("headrace")

HEARTBEAT = 0.2
"""Seconds after which whoever waits looks by itself whether anyone still drives: a
driver that died between giving up the role and waking its successor is noticed then."""


class Endings:
    """What ends parts of an engine, or all of it."""

    def __init__(self, state: EngineState, role: Role, slots: Slots) -> None:
        self._state = state
        self._mutex = state.mutex
        self._decoder = state.decoder
        self._dropped = state.dropped
        self._old_samplers = state.old_samplers
        self._role = role
        self._slots = slots

    # -- requests: no lock is taken -----------------------------------------

    def interrupt(self, generation: Run, reason: StopReason) -> None:
        """Ask for a generation's early end."""
        if generation.interrupted is None:
            generation.interrupted = reason
        self.notice(generation)

    def notice(self, generation: Run) -> None:
        """Act on a generation that was interrupted or failed.

        The running step is interrupted when nobody in it wants it any more: a
        shared step is never interrupted for one of its sequences.
        """
        step, proposing = self._state.running, self._state.proposing
        if step is not None and step.unwanted:
            self._decoder.interrupt(step.step_id)
        else:
            self.recall()
        if proposing is not None:
            drafter, drafted, driving = proposing
            if drafted.over or driving.over:
                drafter.interrupt()
        waiter = generation.waiter
        if waiter is not None:
            waiter.wake()

    def recall(self) -> None:
        """Have a step that goes on by itself end soon, for whoever waits for that."""
        step = self._state.begun
        if step is not None and step.goes_on:
            self._decoder.recall(step.step_id)

    def drop(self, sequence: Sequence) -> None:
        """Ask for a session's end."""
        self._dropped.append(sequence)
        generation = sequence.generation
        if generation is not None:
            self.interrupt(generation, StopReason.CANCELLED)

    def carry_out_requests(self) -> None:
        """What finalizers and signal handlers left to do, and slots nobody owns any more."""
        self.retire_dropped()
        self.free_samplers()
        self._slots.clear_vacant()

    def retire_dropped(self) -> None:
        """Retire the sequences that were dropped. The mutex is held."""
        while self._dropped:
            self.retire(self._dropped.popleft(), ClosedError("the session was closed"))

    def free_samplers(self) -> None:
        """Free the samplers and drafters that nobody uses any more."""
        while self._old_samplers:
            try:
                with self._decoder.seam.during("sampler.close"):
                    self._old_samplers.popleft().close()
            except HeadraceError as error:
                # It is nobody's stream any more, and no reason to fail another's.
                _log.warning("%s", error, exc_info=error)

    # -- ends of one stream or session: the mutex is held ---------------------

    def settle(self, generation: Run) -> GenerationReport:
        """End a generation: the history is what was prompted and seen."""
        if generation.report is not None:
            return generation.report
        report = make_report(generation, self._state.info, self._state.model_info)
        sequence = generation.sequence
        sequence.forget_after(generation.remembered())
        sequence.carry = generation.carry
        sequence.generation = sequence.proposal = None
        self._state.active.pop(sequence, None)
        generation.report = report
        self._set_aside_sampler(generation)
        if self._role.driver is None:
            self.free_samplers()
        return report

    def _set_aside_sampler(self, generation: Run) -> None:
        """Have it freed by the next driver: a step in flight may be sampling with it."""
        if generation.sampler is not None:
            self._old_samplers.append(generation.sampler)
            generation.sampler = None

    def retire(self, sequence: Sequence, why: HeadraceError) -> None:
        """Make a sequence unusable; its slot is cleared by the next driver."""
        if sequence.failure is not None:
            return
        sequence.failure = why
        self._slots.drop_aside(sequence)
        if sequence.slot is not None:
            self._slots.evict(sequence)
        state = self._state
        state.sequences.pop(sequence, None)
        state.active.pop(sequence, None)
        state.speculating.pop(sequence, None)
        if sequence.drafter is not None:
            self._old_samplers.append(sequence.drafter)
            sequence.drafter = None
        generation = sequence.generation
        if generation is not None and generation.report is None:
            generation.error = why
            self._set_aside_sampler(generation)
            self.notice(generation)

    def fail_row(self, planned: PlannedRow, error: HeadraceError) -> None:
        """A row failed: end its stream; what memory holds of it is not known any more."""
        sequence = planned.sequence
        if sequence.slot is not None:
            self._slots.evict(sequence)
        if sequence.generation is planned.generation:
            planned.generation.error = error

    def context_full(self, planned: PlannedRow) -> None:
        """A lone token found no room in an otherwise empty memory."""
        generation = planned.generation
        if generation.produced:
            generation.end = StopReason.CONTEXT_FULL
        else:
            generation.error = ContextFullError(
                f"the prompt does not fit: memory was full after {planned.row.position} tokens",
                n_tokens=len(planned.sequence.line),
                n_ctx=planned.row.position,
                hint="Shorten the prompt, or raise EngineParams.n_ctx.",
                backend=self._state.model_info.backend,
            )

    # -- ends of many -----------------------------------------------------------

    def fail(self, step: Step, error: HeadraceError) -> None:
        """A whole step failed: end its streams, or all sessions if the context is lost."""
        if is_poison(error):
            error = self._state.failure = lost(error)
            for sequence in list(self._state.sequences):
                self.retire(sequence, error)
        for planned in step.rows:
            self.fail_row(planned, error)
        self._role.wake_ready()

    def fail_begun(self, generation: Run | None, error: HeadraceError) -> None:
        """The decoder has failed: end what it concerns, and the generation of who drives."""
        state = self._state
        with self._mutex:
            step, state.begun = state.begun, None
            self.fail(step or Step(state.step_id, []), error)
            if generation is not None and not generation.over:
                generation.error = error
            self._role.wake_ready()

    def close(self, then: Callable[[], None]) -> None:
        """End everything with ``ClosedError``, wait for the running step, free the decoder.

        ``then`` is called when that is done: before ``close`` returns, or, if the
        call came from inside a step on this very thread's stack (a finalizer, a
        signal handler), as soon as that step is over.
        """
        state = self._state
        reentered = held_here(self._mutex)
        with self._mutex:
            if state.closing is not None or state.closed:
                return
            state.failure = state.failure or ClosedError("the model was closed")
            for sequence in list(state.sequences):
                self.retire(sequence, ClosedError("the model was closed"))
            driver = self._role.driver
            reentered = reentered or (driver is not None and driver.thread == threading.get_ident())
            state.closing = then
        while not reentered and not self.finish_closing():
            state.closer.wait(HEARTBEAT)

    def finish_closing_if_asked(self) -> None:
        """Carry out a close that came from a signal handler while the mutex was held."""
        if self._state.closing is not None and not held_here(self._mutex):
            self.finish_closing()

    def finish_closing(self) -> bool:
        """Free the decoder, once, if nobody drives; False while somebody does."""
        state = self._state
        with self._mutex:
            if self._role.driver is not None or state.closing is None:
                return state.closed
            # Nobody drives a closed engine: the role is taken for good.
            self._role.driver = Holder(-1)
            then, state.closing = state.closing, None
        try:
            self.free_samplers()
            try:
                self._decoder.close()
            finally:
                then()
        finally:
            state.closed = True
            state.closer.wake()
        return True


def lost(error: DecodeError) -> DecodeError:
    """What a poisoned context's sessions are told: its error, and what is left to do."""
    told = DecodeError(
        f"{error.message}: all sessions of the model are lost",
        hint="A new one works: model.open_session().",
        poisoned=True,
        backend=error.backend,
        native_code=error.native_code,
        native_log=error.native_log,
    )
    told.__cause__ = error
    return told
