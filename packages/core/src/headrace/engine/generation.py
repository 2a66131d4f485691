"""One generation: the engine's side of a stream.

Tokens come in from the scheduler at one end and leave through ``pull`` at the
other; in between they are only a count, because they stand in the sequence's
``line`` already. What the reader was shown is counted by ``deliver``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING

from headrace.backend.decoder import RowResult, Sampler
from headrace.common.uncopyable import Uncopyable
from headrace.engine.pacing import Pace
from headrace.errors import HeadraceError
from headrace.params import SamplingParams
from headrace.results import Receipt, StopReason, Timings, TokenLogprob, Usage
from headrace.streams.generation import Delta, GenerationReport, Piece

if TYPE_CHECKING:
    from headrace.engine.scheduler import Engine
    from headrace.engine.sequence import Sequence
    from headrace.engine.steps import PlannedRow, Step
    from headrace.engine.waiting import Waiter


class EngineGeneration(Uncopyable):
    """A ``Generation`` fed by the engine.

    Everything but ``interrupt`` and ``carry`` is changed under the engine's
    mutex; ``interrupted`` goes from None to a reason once and never back.
    """

    checked = True

    def __init__(
        self,
        engine: Engine,
        sequence: Sequence,
        prompt: list[int],
        *,
        sampling: SamplingParams,
        seed: int,
        max_tokens: int | None,
        ignore_eog: bool,
        spoken: Mapping[int, bytes],
        beginning: object,
    ) -> None:
        self.engine = engine
        self.sequence = sequence
        self.adapters = sequence.adapters
        self.sampling = sampling
        self.seed = seed
        self.max_tokens = max_tokens
        self.ignore_eog = ignore_eog
        # Stands for the call that has begun it, until the caller has a stream.
        self.beginning = beginning
        # Control tokens whose text the reader asked for.
        self.spoken = spoken
        # Counted from the first token there ever was, see ``Line.dropped``.
        self.base = sequence.line.dropped + len(sequence.line)
        self.start = self.base + len(prompt)
        self.carry = b"" if prompt else sequence.carry
        self.sampler: Sampler | None = None
        self.waiter: Waiter | None = None
        self.wanted = False
        self.interrupted: StopReason | None = None
        self.error: HeadraceError | None = None
        self.end: StopReason | None = None
        self.report: GenerationReport | None = None
        # Counts of new tokens: produced ≥ pulled ≥ seen.
        self.produced = 0
        self.pulled = 0
        self.seen = 0
        self.logprobs: list[TokenLogprob] = []
        """Of all tokens produced, or empty if not asked for."""
        self.processed = self.base
        self.cached: int | None = None
        self.pace = Pace(most=sequence.max_draft)
        self.steps = 0
        self.waits = 0
        self.last_step = 0
        self.began = time.monotonic()
        self.first_token_at: float | None = None
        self.prefill_tokens = 0
        self.prefill_seconds = 0.0
        self.decode_tokens = 0
        self.decode_seconds = 0.0
        self.drafted_tokens = 0
        self.accepted_tokens = 0
        self.draft_seconds = 0.0
        self.sample_seconds = 0.0
        # Steps in a row that ended by themselves and did nothing for it.
        self.fruitless = 0

    # -- for the stream ---------------------------------------------------

    def pull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.pull``."""
        self.wanted = True
        try:
            return self.engine.pull(self, max_wait)
        finally:
            self.wanted = False
            self.engine.finish_closing_if_asked()

    async def apull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.apull``."""
        self.wanted = True
        try:
            return await self.engine.apull(self, max_wait)
        finally:
            self.wanted = False
            self.engine.finish_closing_if_asked()

    def deliver(self, pieces: int) -> bool:
        """See ``Generation.deliver``."""
        with self.engine.mutex:
            if self.interrupted is not None or self.report is not None:
                return False
            if self.error is not None:
                raise self.error.again()
            self.seen += pieces
            return True

    def interrupt(self, reason: StopReason) -> None:
        """See ``Generation.interrupt``. Takes no lock: it may run in a signal handler."""
        if self.interrupted is None:
            self.interrupted = reason
        self.engine.notice(self)

    def settle(self, reason: StopReason | None, seen: int, carry: bytes = b"") -> GenerationReport:
        """See ``Generation.settle``."""
        with self.engine.mutex:
            if self.report is None:
                self.seen, self.carry = seen, carry
            return self.engine.settle(self)

    def counters(self) -> tuple[int, int, int]:
        """See ``Generation.counters``."""
        return self.produced - self.pulled, self.steps, self.waits

    # -- for the engine, under its mutex ------------------------------------

    @property
    def over(self) -> bool:
        """Whether no further step is wanted."""
        return (
            self.interrupted is not None
            or self.end is not None
            or self.error is not None
            or self.report is not None
        )

    @property
    def ready(self) -> bool:
        """Whether a pull would bring something at once."""
        return self.over or self.produced > self.pulled

    def take(self) -> Delta | None:
        """What a pull brings at once, if anything."""
        if self.error is not None:
            raise self.error.again()
        if self.interrupted is not None:
            return Delta(end=self.interrupted)
        if self.produced == self.pulled:
            return Delta(end=self.end) if self.end is not None else None
        line = self.sequence.line
        first = self.start + self.pulled - line.dropped
        tokens = line[first : first + self.produced - self.pulled]
        logprobs = self.logprobs[self.pulled : self.produced]
        self.pulled = self.produced
        pieces = tuple(
            Piece(token, self._bytes_of(token), logprob)
            for token, logprob in zip_longest(tokens, logprobs)
        )
        return Delta(pieces, self.end)

    def _bytes_of(self, token: int) -> bytes:
        if token in self.spoken:
            return self.spoken[token]
        vocabulary = self.engine.vocabulary
        return b"" if vocabulary.is_eog(token) else vocabulary.piece(token)

    def accept(
        self, tokens: tuple[int, ...], at: int, logprobs: tuple[TokenLogprob, ...] = ()
    ) -> None:
        """Append sampled tokens at index ``at`` of the line; doing so twice is doing so once."""
        line = self.sequence.line
        tokens = tokens[: self._wanted(tokens, at)]
        logprobs = logprobs[: len(tokens)]
        line[at:] = tokens
        self.logprobs[line.dropped + at - self.start :] = logprobs
        self.produced = line.dropped + len(line) - self.start
        if self.first_token_at is None:
            self.first_token_at = time.monotonic()
        # Where the end is ignored it is chosen only if a grammar allows nothing else.
        ends = not self.ignore_eog or self.sampling.grammar is not None
        if ends and self.engine.vocabulary.is_eog(line[-1]):
            self.end = StopReason.EOG
        elif self.max_tokens is not None and self.produced >= self.max_tokens:
            self.end = StopReason.MAX_TOKENS
        elif len(line) > self.engine.room(self.sequence) and not self.forgettable:
            self.end = StopReason.CONTEXT_FULL

    def _wanted(self, tokens: tuple[int, ...], at: int) -> int:
        """How many of the tokens sampled in one step belong to the generation."""
        wanted = len(tokens)
        if wanted > 1:
            if not self.ignore_eog:
                eog = map(self.engine.vocabulary.is_eog, tokens)
                wanted = next((i + 1 for i, ends in enumerate(eog) if ends), wanted)
            if self.max_tokens is not None:
                wanted = min(wanted, self.max_tokens - (at - self.prompt_end))
            if not self.sequence.forgettable(0):
                wanted = min(wanted, self.engine.room(self.sequence) + 1 - at)
        return wanted

    def found_in_memory(self, length: int) -> None:
        """Note how much of the line is in memory, at first from earlier generations."""
        if self.cached is None:
            self.cached = length
        processed = self.sequence.line.dropped + length
        self.processed = max(self.processed, min(processed, self.start))

    def account(self, step: Step, planned: PlannedRow, result: RowResult) -> None:
        """Count a step, once."""
        if self.last_step == step.step_id:
            return
        sampled = len(result.tokens)
        if sampled or result.length > planned.row.position:
            self.fruitless = 0
        elif step.ended_by_itself:
            self.fruitless += 1
        self.sample_seconds += result.sample_seconds
        self.steps += 1
        if planned.prefills or not self.produced:
            self.prefill_tokens += len(planned.row.tokens)
            self.prefill_seconds += step.seconds
        else:
            self.decode_tokens += max(1, sampled)
            self.decode_seconds += step.seconds
        self.drafted_tokens += planned.proposed
        self.accepted_tokens += max(0, min(sampled - 1, planned.proposed))
        self.last_step = step.step_id

    def remembered(self) -> int:
        """Length of the history as the reader knows it at this moment."""
        if self.produced or self.end is not None:
            end = self.start + self.seen
        else:
            end = max(self.base, self.processed)
        return end - self.sequence.line.dropped

    @property
    def prompt_end(self) -> int:
        """Index in the line at which its prompt ends."""
        return self.start - self.sequence.line.dropped

    @property
    def forgettable(self) -> int:
        """Tokens that may be forgotten when the context is full; none that are still unread."""
        return self.sequence.forgettable(self.produced - self.seen + 1)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of its prompt."""
        return self.start - self.base

    def _reason(self, disturbed: str) -> str:
        if not self.sequence.reproducible:
            return "the session was not opened with reproducible=True"
        if disturbed:
            return disturbed
        width = self.sequence.width
        if width == 1:
            return "computed alone, with cuts of its own"
        return f"computed alone, {width} tokens at a time, which makes it the same with any drafts"

    def make_report(self) -> GenerationReport:
        """The numbers, as they stand."""
        now = time.monotonic()
        first = self.first_token_at
        disturbed = self.sequence.disturbed(self.engine.info)
        return GenerationReport(
            usage=Usage(
                prompt_tokens=self.prompt_tokens,
                cached_tokens=self.cached or 0,
                completion_tokens=self.seen,
            ),
            timings=Timings(
                prefill_tokens=self.prefill_tokens,
                prefill_seconds=self.prefill_seconds,
                decode_tokens=self.decode_tokens,
                decode_seconds=self.decode_seconds,
                drafted_tokens=self.drafted_tokens,
                accepted_tokens=self.accepted_tokens,
                draft_seconds=self.draft_seconds,
                sample_seconds=self.sample_seconds,
                first_token_seconds=None if first is None else first - self.began,
                total_seconds=now - self.began,
            ),
            receipt=Receipt(
                backend=self.engine.model_info.backend,
                build=self.engine.model_info.build,
                seed=self.seed,
                reproducible=self.sequence.reproducible and not disturbed,
                reason=self._reason(disturbed),
                adapters=tuple((use.handle.name, use.scale) for use in self.adapters),
            ),
        )
