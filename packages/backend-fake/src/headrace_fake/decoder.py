"""The fake's context: real bookkeeping of several memories, and nothing computed.

Every call is checked against the protocol. A step changes memory the way a
native call does when it is interrupted or fails half-way, and what it did can
be read from the memories themselves at any moment, so that ``outcome`` is true
even if a ``KeyboardInterrupt`` fell into the middle of ``step``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from headrace.errors import DecodeError
from headrace.params import EngineParams, SamplingParams
from headrace.params.speculation import MAX_DRAFT
from headrace.protocols import (
    AppliedAdapter,
    DecoderInfo,
    Row,
    RowResult,
    Sampler,
    ScoreOutcome,
    ScoreRow,
    StepOutcome,
    StepStatus,
    Truncation,
)
from headrace.results.machine import DeviceMemory
from headrace_fake import memory_needs, scoring
from headrace_fake.adapters import FakeAdapter, Flavour
from headrace_fake.alarm import Alarm
from headrace_fake.cells import Cells, Plot
from headrace_fake.deaths import die
from headrace_fake.memory import Memory
from headrace_fake.misuse import MisuseLog
from headrace_fake.options import FakeOptions, Fault, Placement
from headrace_fake.sampler import FakeSampler
from headrace_fake.vocabulary import ByteVocabulary

_T = TypeVar("_T")
_SCORE_LIMIT = 64
"""Targets of one call: few, so that longer texts take several."""


class _Step:
    """A step that runs or has run."""

    __slots__ = ("error", "row_errors", "rows", "status", "step_id")

    def __init__(self, step_id: int, rows: Sequence[Row]) -> None:
        self.step_id = step_id
        self.rows = rows
        self.status = StepStatus.INTERRUPTED  # until it is known to be better or worse
        self.error: DecodeError | None = None
        self.row_errors: dict[int, DecodeError] = {}


def _max_draft(options: FakeOptions, params: EngineParams) -> int:
    if options.truncation is Truncation.NONE:
        return 0
    return min(MAX_DRAFT, params.n_batch - 1, options.n_batch - 1)


class FakeDecoder:
    """Several sequences in one memory, for one caller at a time.

    Args:
        options: What to write, how long to take, when to fail.
        params: What the engine asked for.
        model: Whose adapters it can use.
        next_step: Counts the steps of the model, for ``fault_at``.
        misuse: Where violations of the protocol are noted.
        on_close: Called once, by the first ``close``.
        check_memory: Whether a place apart that does not fit is refused.
    """

    def __init__(
        self,
        options: FakeOptions,
        params: EngineParams,
        *,
        model: object,
        next_step: Callable[[], int],
        misuse: MisuseLog,
        on_close: Callable[[FakeDecoder], None],
        check_memory: bool = True,
    ) -> None:
        n_ctx = params.context_length(options.n_ctx)
        self.info = DecoderInfo(
            n_ctx=n_ctx,
            n_ctx_sequence=min(
                n_ctx // params.n_sequences if params.divided else n_ctx, options.n_ctx
            ),
            n_sequences=params.n_sequences,
            n_batch=min(params.n_batch, options.n_batch),
            truncation=options.truncation,
            can_copy=options.can_copy,
            can_shift=options.shiftable,
            interruptible=options.interruptible,
            max_draft=_max_draft(options, params),
            width_multiple=1,
            max_more=options.max_more,
            unaffected=options.placement in (Placement.IGNORED, Placement.DENIED),
            n_apart=int(options.placement is Placement.APART),
        )
        self.state_key = {
            "model": options.fingerprint,
            "memory": f"{options.truncation.value}, reach {options.reach}",
        }
        if options.placement is not Placement.IGNORED:
            self.state_key["memory"] += ", placed"
        self.score_limit = min(_SCORE_LIMIT, self.info.n_batch)
        self._options = options
        self._model = model
        self._next_step = next_step
        self._flavour = Flavour()
        self._misuse = misuse
        self._on_close = on_close
        self._params = params
        self._check_memory = check_memory
        cells = Cells()
        self._memories = [self._new_memory(cells) for _ in range(params.n_sequences)]
        self._alarm = Alarm()
        self._last = _Step(-1, ())
        self._recalled = -1
        self._user: int | None = None
        self._poisoned = False
        self._closed = False

    @property
    def stepped(self) -> bool:
        """Whether any step was asked for."""
        return self._last.step_id >= 0

    # What tests look at.

    def _new_memory(self, cells: Cells) -> Memory:
        placed = self._options.placement is not Placement.IGNORED
        return Memory(
            self._options.truncation, self._options.reach, Plot(cells) if placed else None
        )

    def memory(self, sequence: int) -> list[int]:
        """A copy of what a sequence has in memory."""
        return list(self._memories[sequence].tokens)

    @property
    def used(self) -> int:
        """Tokens in memory, of all sequences together that share it."""
        return sum(len(memory.tokens) for memory in self._memories[: self.info.n_sequences])

    # The protocol.

    def new_sampler(
        self, params: SamplingParams, *, seed: int, recent: Sequence[int], ban_eog: bool
    ) -> Sampler:
        """A sampler for one generation."""
        self._must_be_open()
        return FakeSampler(
            self._options,
            params,
            owner=self,
            misuse=self._misuse,
            n_ctx=self.info.n_ctx_sequence,
            seed=seed,
            recent=recent,
            ban_eog=ban_eog,
        )

    def use_adapters(self, adapters: Sequence[AppliedAdapter]) -> None:
        """Compute the steps that follow with these; see the protocol."""
        self._alone(lambda: self._use(adapters))

    def open_apart(self) -> None:
        """Make the place that reproducible sessions have for themselves."""
        self._alone(self._make_apart)

    def step(
        self,
        step_id: int,
        rows: Sequence[Row],
        *,
        time_limit: float | None = None,
        span: float = 0.0,
    ) -> StepOutcome:
        """Run the rows; see the protocol. Turns come to an end by count and not by the clock."""
        return self._alone(lambda: self._step(step_id, rows, time_limit, span > 0))

    def outcome(self, step_id: int) -> StepOutcome | None:
        """What the last step did, again; None for any other id."""
        step = self._last
        if step.step_id != step_id:
            return None
        if step.status is StepStatus.NO_ROOM:
            return StepOutcome(step.status)
        return StepOutcome(
            step.status,
            [
                self._result(step_id, row, step.row_errors.get(index))
                for index, row in enumerate(step.rows)
            ],
            step.error,
        )

    def _result(self, step_id: int, row: Row, error: DecodeError | None) -> RowResult:
        length = len(self._memories[row.sequence].tokens)
        if isinstance(row.sampler, FakeSampler):
            return row.sampler.result(step_id, length, error)
        return RowResult(length, (), error)

    def interrupt(self, step_id: int) -> None:
        """End that step early, or the moment it starts; a stale id does nothing."""
        self._alarm.ring(step_id)

    def recall(self, step_id: int) -> None:
        """Have that step not go on beyond the turn that runs; a stale id does nothing."""
        self._recalled = max(self._recalled, step_id)

    def truncate(self, sequence: int, length: int) -> int:
        """Forget all but the first tokens; returns the length kept, 0 where it is impossible."""
        if length < 0:
            self._misuse.refuse(f"truncate to a length of {length}")
        return self._alone(lambda: self._memory(sequence).truncate(length))

    def copy(self, source: int, target: int, length: int) -> int:
        """Give the empty target the first tokens of the source; 0 where it is impossible."""
        return self._alone(lambda: self._copy(source, target, length))

    def shift(self, sequence: int, start: int, stop: int) -> bool:
        """Forget the tokens from ``start`` to ``stop``."""
        return self._alone(lambda: self._shift(sequence, start, stop))

    def clear(self, sequence: int) -> None:
        """Forget a sequence."""
        self._alone(lambda: self._memory(sequence).truncate(0))

    def export_state(self, sequence: int) -> memoryview:
        """What the sequence has in memory, as bytes."""
        return self._alone(lambda: memoryview(self._memory(sequence).write_down()))

    def import_state(self, sequence: int, state: memoryview) -> int:
        """Give the empty sequence such a memory; 0 if there is no room for it."""
        return self._alone(lambda: self._import(sequence, state))

    def device_memory(self) -> tuple[DeviceMemory, ...]:
        """What the fake pretends to have taken."""
        return memory_needs.taken(self._options, self.info.n_ctx + self._n_apart)

    def score(self, step_id: int, row: ScoreRow) -> ScoreOutcome:
        """How likely the row's targets are; takes the time that a step takes."""
        return self._alone(lambda: self._score(step_id, row))

    def close(self) -> None:
        """Closing again does nothing."""
        if self._closed:
            return
        if self._user is not None:
            self._misuse.refuse("the decoder was closed while a call was running in it")
        self._closed = True
        self._on_close(self)

    # What they do.

    def _alone(self, action: Callable[[], _T]) -> _T:
        """Run a call, and refuse one that comes while another runs."""
        me = threading.get_ident()
        if self._user is not None:
            who = "the same" if self._user == me else "another"
            self._misuse.refuse(f"the decoder was used while {who} thread's call was running in it")
        try:
            self._user = me
            self._must_be_open()
            return action()
        finally:
            self._user = None

    def _must_be_open(self) -> None:
        if self._closed:
            self._misuse.refuse("the decoder was used after it was closed")

    def _memory(self, sequence: int) -> Memory:
        if not 0 <= sequence < len(self._memories):
            self._misuse.refuse(f"sequence {sequence} is not one of 0 … {len(self._memories) - 1}")
        return self._memories[sequence]

    @property
    def _n_apart(self) -> int:
        """Tokens of the places that are apart."""
        return (len(self._memories) - self.info.n_sequences) * self.info.n_ctx_sequence

    def _make_apart(self) -> None:
        missing = self.info.n_sequences + self.info.n_apart - len(self._memories)
        if missing and self._check_memory:
            n_more = missing * self.info.n_ctx_sequence
            memory_needs.check(self._options, self._params, n_more=n_more)
        self._memories += [self._new_memory(Cells()) for _ in range(missing)]

    def _use(self, adapters: Sequence[AppliedAdapter]) -> None:
        for applied in adapters:
            loaded = applied.loaded
            if not isinstance(loaded, FakeAdapter) or loaded.owner is not self._model:
                self._misuse.refuse("an adapter that another model has loaded")
        self._flavour = Flavour.of(adapters)

    def _copy(self, source: int, target: int, length: int) -> int:
        if not self.info.can_copy:
            self._misuse.refuse("copy was called though can_copy is False")
        origin, copied = self._memory(source), self._memory(target)
        if source == target or copied.tokens:
            self._misuse.refuse(f"copy into sequence {target}, which is not empty")
        if not 0 <= length <= len(origin.tokens):
            self._misuse.refuse(f"copy of {length} tokens of {len(origin.tokens)}")
        if max(source, target) >= self.info.n_sequences:
            self._misuse.refuse("copy from or into a memory that is apart")
        if not origin.forgettable(length) or self.used + length > self.info.n_ctx:
            return 0
        copied.flavour = origin.flavour
        copied.append(origin.tokens[:length])
        return length

    def _shift(self, sequence: int, start: int, stop: int) -> bool:
        memory = self._memory(sequence)
        if not self.info.can_shift:
            self._misuse.refuse("shift was called though can_shift is False")
        if not 0 <= start < stop <= len(memory.tokens):
            self._misuse.refuse(
                f"shift of {start} … {stop} in a memory of {len(memory.tokens)} tokens"
            )
        memory.shift(start, stop)
        for each in self._memories:  # what was shifted may be rebuilt in another
            each.may_be_shifted = True
        return True

    def _import(self, sequence: int, state: memoryview) -> int:
        memory = self._memory(sequence)
        if memory.tokens:
            self._misuse.refuse(f"import into sequence {sequence}, which is not empty")
        memory.read_back(state)
        if len(memory.tokens) > self.info.n_ctx_sequence or self.used > self.info.n_ctx:
            memory.truncate(0)
        return len(memory.tokens)

    def _score(self, step_id: int, row: ScoreRow) -> ScoreOutcome:
        if len(row.targets) not in (0, len(row.tokens)) or len(row.targets) > self.score_limit:
            self._misuse.refuse(f"{len(row.targets)} targets for {len(row.tokens)} tokens")
        outcome = self._step(step_id, [Row(row.sequence, row.position, row.tokens, None)], None)
        memory = self._memory(row.sequence)
        done = outcome.status is StepStatus.DONE
        return ScoreOutcome(
            outcome.status,
            len(memory.tokens),
            scoring.logprobs(self._options, row, memory) if done else (),
            outcome.error,
        )

    def _step(
        self, step_id: int, rows: Sequence[Row], limit: float | None, goes_on: bool = False
    ) -> StepOutcome:
        self._check(step_id, rows)
        step = self._last = _Step(step_id, rows)
        for row in rows:
            self._memories[row.sequence].flavour = self._flavour
        options = self._options
        if options.on_step is not None:
            options.on_step(step_id, rows)
        fault = options.fault if self._next_step() in options.fault_at else None
        die(fault)
        if self._poisoned or fault in (Fault.FAILED, Fault.POISONED):
            self._fail(step, fault)
        elif fault is Fault.NO_ROOM or not self._fits(rows):
            step.status = StepStatus.NO_ROOM
        elif fault in (Fault.INTERRUPTED, Fault.KEYBOARD_INTERRUPT):
            self._stop_after(rows, sum(len(row.tokens) for row in rows) // 2)
        elif fault is Fault.RAISE:
            raise RuntimeError(f"the fake backend raises in step {step_id}, as it was told to")
        else:
            self._compute(step, limit, fault)
            if goes_on and step.status is StepStatus.DONE:
                self._go_on(step, limit)
        if fault is Fault.KEYBOARD_INTERRUPT:
            raise KeyboardInterrupt
        outcome = self.outcome(step_id)
        assert outcome is not None
        return outcome

    def _check(self, step_id: int, rows: Sequence[Row]) -> None:
        refuse = self._misuse.refuse
        if step_id <= self._last.step_id:
            refuse(f"step {step_id} comes after step {self._last.step_id}")
        if not rows:
            refuse(f"step {step_id} has no rows")
        seen = set()
        total = drafted = 0
        for row in rows:
            memory = self._memory(row.sequence)
            if row.sequence in seen:
                refuse(f"two rows of sequence {row.sequence} in step {step_id}")
            seen.add(row.sequence)
            if row.position != len(memory.tokens):
                refuse(
                    f"a row of sequence {row.sequence} is at position {row.position}, "
                    f"its memory holds {len(memory.tokens)} tokens"
                )
            if memory.tokens and memory.flavour != self._flavour:
                refuse(f"the memory of sequence {row.sequence} was computed with other adapters")
            if not row.tokens:
                refuse(f"a row of sequence {row.sequence} has no tokens")
            if min(row.tokens) < 0 or max(row.tokens) >= ByteVocabulary.n_tokens:
                refuse(f"a row of sequence {row.sequence} has a token outside the vocabulary")
            if row.sampler is not None:
                self._check_sampler(row.sampler)
            if row.draft and not 0 <= min(row.draft) <= max(row.draft) < ByteVocabulary.n_tokens:
                refuse(f"a row of sequence {row.sequence} has a draft outside the vocabulary")
            if len(rows) > 1 and row.sequence >= self.info.n_sequences:
                refuse(f"sequence {row.sequence} is apart and has others in its step {step_id}")
            drafted += len(row.draft)
            total += len(row.tokens) + len(row.draft)
        if total > self.info.n_batch:
            refuse(f"step {step_id} has {total} tokens, more than n_batch={self.info.n_batch}")
        if drafted > self.info.max_draft:
            refuse(f"step {step_id} has drafts of {drafted} tokens, more than may be")
        for row in rows:
            if row.n_more and (row.sampler is None or row.draft or row.allowed is not None):
                refuse("a row wants more tokens, and has a draft, masks or no sampler")
            if not 0 <= row.n_more <= self.info.max_more:
                refuse(f"a row wants {row.n_more} further tokens, max_more={self.info.max_more}")

    def _check_sampler(self, sampler: Sampler) -> None:
        if not isinstance(sampler, FakeSampler) or sampler.owner is not self:
            self._misuse.refuse("a row has a sampler that another decoder made")
        if sampler.closed:
            self._misuse.refuse("a row has a sampler that is closed")

    def _fits(self, rows: Sequence[Row]) -> bool:
        limit = self.info.n_ctx_sequence
        lengths = [len(row.tokens) + len(row.draft) for row in rows]
        if any(row.position + n > limit for row, n in zip(rows, lengths, strict=True)):
            return False
        if rows[0].sequence >= self.info.n_sequences:
            return True
        return self.used + sum(lengths) <= self.info.n_ctx

    def _fail(self, step: _Step, fault: Fault | None) -> None:
        self._poisoned = self._poisoned or fault is Fault.POISONED
        self._stop_after(step.rows, sum(len(row.tokens) for row in step.rows) // 2)
        state = "the context is unusable" if self._poisoned else "the context is usable"
        step.error = DecodeError(
            f"the fake backend failed in step {step.step_id}, as it was told to; {state}",
            poisoned=self._poisoned,
            backend="fake",
        )
        step.status = StepStatus.FAILED

    def _compute(self, step: _Step, limit: float | None, fault: Fault | None) -> None:
        rows = step.rows
        if not self._wait(step.step_id, rows, limit):
            return
        for row in rows:
            self._memories[row.sequence].append(row.tokens)
        if fault is Fault.ROW:
            step.row_errors[0] = DecodeError(
                f"the fake backend failed in a row of step {step.step_id}, as it was told to",
                backend="fake",
            )
        for index, row in enumerate(rows):
            accepted: Sequence[int] = ()
            memory = self._memories[row.sequence]
            if index not in step.row_errors and isinstance(row.sampler, FakeSampler):
                accepted = row.sampler.sample(
                    step.step_id, memory, row.draft, row.allowed, leaps=len(row.tokens) > 1
                )[:-1]
            memory.accept(accepted, len(row.draft))
        step.status = StepStatus.DONE

    def _go_on(self, step: _Step, limit: float | None) -> None:
        """Compute what was sampled and sample again, as long as every row wants it."""
        while self._recalled < step.step_id:
            turn = []
            for index, row in enumerate(step.rows):
                tokens = row.sampler.tokens if isinstance(row.sampler, FakeSampler) else ()
                if index in step.row_errors or not 0 < len(tokens) <= row.n_more:
                    return
                if ByteVocabulary().is_eog(tokens[-1]):
                    return
                at = row.position + len(row.tokens) + len(tokens) - 1
                turn.append(Row(row.sequence, at, tokens[-1:], row.sampler))
            if not self._fits(turn):
                return
            if self._elapse(step.step_id, 0, limit) < 1:
                step.status = StepStatus.INTERRUPTED
                return
            for row in turn:
                memory = self._memories[row.sequence]
                memory.append(row.tokens)
                assert isinstance(row.sampler, FakeSampler)
                row.sampler.sample(step.step_id, memory, again=True)

    def _wait(self, step_id: int, rows: Sequence[Row], limit: float | None) -> bool:
        """Take the time the step takes; False, with memory changed, if it was interrupted."""
        tokens = sum(len(row.tokens) for row in rows)
        share = self._elapse(step_id, tokens - len(rows), limit)
        if share < 1:
            self._stop_after(rows, int(tokens * share))
        return share >= 1

    def _elapse(self, step_id: int, n_beyond: int, limit: float | None) -> float:
        """Take the time of a turn with so many tokens beyond the first of each row.

        Returns how much of it went by before an interrupt or the limit came: 1 if none did.
        """
        options = self._options
        if self._alarm.rung(step_id) or (limit is not None and limit <= 0):
            return 0.0
        needed = options.delay + options.prefill_delay * n_beyond
        if not needed:
            return 1.0
        if not options.interruptible:
            self._alarm.wait(-1, needed)
            return 1.0
        allowed = needed if limit is None else min(needed, limit)
        return self._alarm.wait(step_id, allowed) / needed

    def _stop_after(self, rows: Sequence[Row], finished: int) -> None:
        """Leave memory as a step does that ends after so many of its tokens, row by row."""
        for row in rows:
            done = min(finished, len(row.tokens))
            finished -= done
            memory = self._memories[row.sequence]
            memory.append(row.tokens[:done])
            memory.lose(len(memory.tokens))
