"""How likely a text is after a session's history, computed beside the session.

The work is done in a sequence of its own: its memory begins with what the
session has in memory, copied where that is possible and computed where not, and
nothing of the session changes. The role is taken for a part of the text at a
time, so that readers get their steps in between; what is lost to an eviction
meanwhile is computed again, and nothing is scored twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from headrace.backend.abilities import ScoreOutcome, ScoreRow
from headrace.backend.decoder import StepStatus
from headrace.engine.checked import PATIENCE, Reported
from headrace.engine.sequence import Line, Sequence
from headrace.errors import ContextFullError, DecodeError, UnsupportedError
from headrace.results import TokenLogprob

if TYPE_CHECKING:
    from headrace.engine.scheduler import Engine

_TURN_SECONDS = 0.1
"""How long the role is kept while there is more to score: changing hands may cost a rebuild."""


class ScoringCancelled(BaseException):
    """The work was cancelled; whoever did that is no longer waiting for what it would give."""


class Scoring:
    """One text on its way, which any thread may cancel.

    Args:
        engine: Whose decoder computes.
        source: The session's sequence.
        tokens: The text.
        n_top: Likely tokens wanted beside each.
        progress: Told the share that is done.

    Raises:
        UnsupportedError: If the decoder scores nothing.
    """

    def __init__(
        self,
        engine: Engine,
        source: Sequence,
        tokens: list[int],
        *,
        n_top: int,
        progress: Callable[[float], object] | None = None,
    ) -> None:
        if not engine.decoder.scores:
            raise UnsupportedError(
                f"backend {engine.model_info.backend!r} scores no texts",
                backend=engine.model_info.backend,
            )
        if source.width > 1:
            raise UnsupportedError(
                f"a session with a decode_width of {source.width} scores no texts",
                hint="Open another session for it, without speculate and decode_width.",
                backend=engine.model_info.backend,
            )
        self._decoder = engine.decoder
        self._engine = engine
        self._source = source
        self.tokens = tokens
        self.n_top = n_top
        self._progress = progress
        self._cancelled = False
        self._running: int | None = None
        self._found: list[TokenLogprob] = []
        self._fruitless = 0

    def cancel(self) -> None:
        """End the work, inside a native call too. Takes no lock."""
        self._cancelled = True
        running = self._running
        if running is not None:
            self._engine.decoder.interrupt(running)

    def run(self) -> list[TokenLogprob]:
        """One for each token; for all but the first, if there is no history.

        Raises:
            ContextFullError: If history and text do not fit.
            BusyError: If the session has a generation under way.
            ClosedError, DecodeError: If the session or the context is unusable.
            ScoringCancelled: After ``cancel``.
        """
        engine = self._engine
        sequence = engine.open_sequence(self._source.params)
        try:
            engine.copy_history(self._source, sequence)
            self._line = [*sequence.line, *self.tokens]
            # The first token that something stands before.
            self._first = max(1, len(sequence.line))
            self._check_room(len(sequence.line))
            wanted = len(self._line) - self._first
            while len(self._found) < wanted:
                engine.exclusively(lambda: self._turn(sequence))
                if self._progress is not None:
                    self._progress(len(self._found) / wanted)
            return self._found
        finally:
            engine.drop_sequence(sequence)

    def _check_room(self, history: int) -> None:
        limit = self._engine.info.n_ctx_sequence
        # The last token is looked up, not computed.
        if len(self._line) - 1 > limit:
            raise ContextFullError(
                f"the text does not fit: {history} tokens of history and {len(self.tokens)} of "
                f"text need a context of {len(self._line) - 1}, there is one of {limit}",
                hint="Score it in parts, or raise EngineParams.n_ctx.",
                backend=self._engine.model_info.backend,
            )

    def _turn(self, sequence: Sequence) -> None:
        """Score a part of the text, or more of them while there is time. The role is held."""
        until = time.monotonic() + _TURN_SECONDS
        begun = len(self._found)
        limit = min(self._decoder.score_limit, self._engine.info.n_batch)
        self._seat(sequence)
        while (done := self._first - 1 + len(self._found)) < len(self._line) - 1:
            if len(self._found) > begun and time.monotonic() > until:
                return
            if len(sequence.resident) > done:
                self._seat(sequence)  # what an interrupted call had computed already
            self._rebuild(sequence, done)
            end = min(len(self._line) - 1, done + limit)
            outcome = self._run(sequence, end, self._line[done + 1 : end + 1])
            if outcome.status is StepStatus.DONE:
                self._found += outcome.logprobs
            elif outcome.status is StepStatus.NO_ROOM:
                limit = self._make_room(sequence, end - done)

    def _seat(self, sequence: Sequence) -> None:
        """Give the sequence a slot and the beginning of its line that others have."""
        engine = self._engine
        with engine.mutex:
            if sequence.failure is not None:
                raise sequence.failure.again()
            done = self._first - 1 + len(self._found)
            # One token more than is to be in memory, as always: what follows is yet to be scored.
            sequence.line = Line(self._line[: done + 1])
            sequence.in_line = False
            sequence.last_step = engine.step_id
            if not engine.slots.seat(sequence, (), engine.step_id):
                engine.slots.evict_one((), sequence)
                engine.slots.seat(sequence, (), engine.step_id)
            engine.slots.bring_in_line(sequence)

    def _rebuild(self, sequence: Sequence, length: int) -> None:
        """Compute what is not in memory of the tokens before those to be scored."""
        limit = self._engine.info.n_batch
        while len(sequence.resident) < length:
            sequence.line = Line(self._line[:length])
            end = sequence.chunk_end(limit)
            if self._run(sequence, end, []).status is StepStatus.NO_ROOM:
                limit = self._make_room(sequence, end - len(sequence.resident))

    def _run(self, sequence: Sequence, end: int, targets: list[int]) -> ScoreOutcome:
        """One native call, from where the memory ends."""
        engine, start = self._engine, len(sequence.resident)
        with engine.mutex:
            if sequence.failure is not None:
                raise sequence.failure.again()
            slot, step_id = engine.slots.touch(sequence), engine.next_step_id()
        row = ScoreRow(slot, start, self._line[start:end], targets, self.n_top)
        try:
            # Noted first: a cancel that comes from here on finds the call, or is seen below.
            self._running = step_id
            if self._cancelled:
                raise ScoringCancelled
            engine.compute_with(sequence.adapters)
            outcome = self._decoder.score(step_id, row)
        finally:
            self._running = None
        with engine.mutex:
            engine.slots.settle(sequence, self._line[: outcome.length])
        if outcome.status is StepStatus.FAILED:
            backend = engine.model_info.backend
            raise Reported(outcome.error or DecodeError("the call failed", backend=backend))
        self._look_for_progress(outcome, start)
        if outcome.status is StepStatus.DONE:
            sequence.record_cut(start, end)
        return outcome

    def _look_for_progress(self, outcome: ScoreOutcome, start: int) -> None:
        idle = outcome.status is StepStatus.INTERRUPTED and outcome.length <= start
        self._fruitless = self._fruitless + 1 if idle else 0
        if self._fruitless >= PATIENCE:
            raise Reported(self._decoder.stuck("score"))

    def _make_room(self, sequence: Sequence, limit: int) -> int:
        """After a call that found none: evict, or run less at once."""
        with self._engine.mutex:
            evicted = self._engine.slots.evict_one([sequence], sequence)
            self._engine.slots.clear_vacant()
        if evicted:
            return limit
        if limit == 1:
            raise ContextFullError(
                f"the text does not fit: memory was full after {len(sequence.resident)} tokens",
                hint="Score it in parts, or raise EngineParams.n_ctx.",
                backend=self._engine.model_info.backend,
            )
        return limit // 2
