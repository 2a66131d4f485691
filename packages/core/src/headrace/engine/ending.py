"""What the engine keeps, and how it ends: sessions, streams, and the engine itself.

``mutex`` guards the Python state and is held for microseconds; the *role* of
driver guards the decoder and is held for one step. Finalizers and signal
handlers take neither: they leave a request, which whoever drives next carries
out.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from headrace.backend.decoder import Sampler, Truncation
from headrace.common.uncopyable import Uncopyable
from headrace.engine import drafting
from headrace.engine.checked import CheckedDecoder, CheckedVocabulary, is_poison
from headrace.engine.drafters import Drafter
from headrace.engine.generation import EngineGeneration
from headrace.engine.role import Driver, Role
from headrace.engine.sequence import Sequence
from headrace.engine.slots import Slots
from headrace.engine.steps import PlannedRow, Planner, Step
from headrace.engine.waiting import ThreadWaiter
from headrace.errors import ClosedError, DecodeError, HeadraceError
from headrace.params import EngineParams
from headrace.params.adapters import Use
from headrace.results import ModelInfo

_log = logging.getLogger("headrace")

HEARTBEAT = 0.2
"""Seconds after which whoever waits looks by itself whether anyone still drives: a
driver that died between giving up the role and waking its successor is noticed then."""


class Ending(Uncopyable):
    """The state of an engine over one decoder, and what ends parts of it or all."""

    def __init__(
        self,
        decoder: CheckedDecoder,
        vocabulary: CheckedVocabulary,
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
            try:
                with self.decoder.seam.during("sampler.close"):
                    self._old_samplers.popleft().close()
            except HeadraceError as error:
                # It is nobody's stream any more, and no reason to fail another's.
                _log.warning("%s", error, exc_info=error)

    def _retire(self, sequence: Sequence, why: HeadraceError) -> None:
        """Make a sequence unusable; its slot is cleared by the next driver."""
        if sequence.failure is not None:
            return
        sequence.failure = why
        self.slots.drop_aside(sequence)
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
        if is_poison(error):
            error = self.failure = lost(error)
            for sequence in list(self._sequences):
                self._retire(sequence, error)
        for planned in step.rows:
            self._fail_row(planned, error)
        self._role.wake_ready()

    def _fail_row(self, planned: PlannedRow, error: HeadraceError) -> None:
        """A row failed: end its stream; what memory holds of it is not known any more."""
        sequence = planned.sequence
        if sequence.slot is not None:
            self.slots.evict(sequence)
        if sequence.generation is planned.generation:
            planned.generation.error = error

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
            try:
                self.decoder.close()
            finally:
                then()
        finally:
            self._closed = True
            self._closer.wake()
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
