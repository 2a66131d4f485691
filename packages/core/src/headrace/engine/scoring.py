"""How likely a text is after a session's history, computed beside the session.

The work is done in a sequence of its own: its memory begins with what the
session has in memory, copied where that is possible and computed where not, and
nothing of the session changes. The role is taken for a part of the text at a
time, so that readers get their steps in between; what is lost to an eviction
meanwhile is computed again, and nothing is scored twice.
"""

from __future__ import annotations

import time

from headrace.backend.abilities import ScoreOutcome, ScoreRow
from headrace.backend.decoder import StepStatus
from headrace.common.work import Work
from headrace.engine.checked import PATIENCE, CheckedVocabulary, Reported
from headrace.engine.engine import Engine
from headrace.engine.line import Line
from headrace.engine.state import Sequence
from headrace.errors import ContextFullError, DecodeError, UnsupportedError
from headrace.results import TokenLogprob
from headrace.results.score import Score

_TURN_SECONDS = 0.1
"""How long the role is kept while there is more to score: changing hands may cost a rebuild."""


class Scoring:
    """One text on its way, which any thread may cancel.

    Args:
        engine: Whose decoder computes.
        source: The session's sequence.
        tokens: The text.
        n_top: Likely tokens wanted beside each.
        work: Ends it, and is told the share that is done.

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
        work: Work,
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
        self._work = work
        self._found: list[TokenLogprob] = []
        self._fruitless = 0

    def run(self) -> list[TokenLogprob]:
        """One for each token; for all but the first, if there is no history.

        Raises:
            ContextFullError: If history and text do not fit.
            BusyError: If the session has a generation under way.
            ClosedError, DecodeError: If the session or the context is unusable.
            Cancelled: If the work was cancelled.
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
                self._work.report(len(self._found) / wanted)
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
                n_tokens=len(self._line) - 1,
                n_ctx=limit,
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

        def score() -> ScoreOutcome:
            engine.compute_with(sequence.adapters)
            return self._decoder.score(step_id, row)

        outcome = self._work.call(score, lambda: engine.decoder.interrupt(step_id))
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
                n_tokens=len(self._line) - 1,
                n_ctx=len(sequence.resident),
                hint="Score it in parts, or raise EngineParams.n_ctx.",
                backend=self._engine.model_info.backend,
            )
        return limit // 2


def score_of(scoring: Scoring, found: list[TokenLogprob], vocabulary: CheckedVocabulary) -> Score:
    """What was found, with the bytes of the tokens."""
    tokens = scoring.tokens
    unknown = len(tokens) - len(found)
    return Score(
        tokens=tuple(tokens),
        pieces=tuple(vocabulary.piece(token) for token in tokens),
        logprobs=(*[None] * unknown, *(each.logprob for each in found)),
        top=(*[()] * unknown, *(each.top for each in found)) if scoring.n_top else (),
    )
