"""The sequence decoder: the owner of a native context.

A step is one native call. Its rows, its results and its report lie in memory
that is allocated once and that the shim writes to, so ``outcome`` can read what
a step did even if a ``KeyboardInterrupt`` fell between the call's return and
the next bytecode.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from headrace.common.uncopyable import Uncopyable
from headrace.errors import ClosedError, HeadraceError, StateError
from headrace.params import SamplingParams
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
)
from headrace.results import TokenLogprob
from headrace.results.machine import DeviceMemory
from headrace_llamacpp import callbacks, logs
from headrace_llamacpp._native import address, ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.adapters import use_adapters
from headrace_llamacpp.failures import check, error_of, meaning_of
from headrace_llamacpp.handles import Handle
from headrace_llamacpp.likelihood import score
from headrace_llamacpp.memory import in_use
from headrace_llamacpp.sampler import LlamaSampler

QUIETLY = 10
"""Level of what llama.cpp logs about a step that ended as it may: ``logging.DEBUG``."""


class LlamaDecoder(Uncopyable):
    """A llama.cpp context, its thread pool and its buffers.

    Args:
        model: The owner of the model's ``hr_model *``.
        context: The owner of an open ``hr_context *``, closed by this object.
        info: What it can do.
        state_key: What memories must have in common with it, see ``StatefulDecoder``.
        n_vocab: Tokens of the model's vocabulary.
        window: Length of the model's sliding window; 0 without one.
        open_apart: Makes a context for the sequence that is apart.
    """

    def __init__(
        self,
        model: Handle,
        context: Handle,
        info: DecoderInfo,
        state_key: Mapping[str, str],
        *,
        n_vocab: int,
        window: int,
        open_apart: Callable[[], Handle],
    ) -> None:
        self.info = info
        self.state_key = state_key
        self._model = model
        self._handle = context
        self._apart = Handle(lib.hr_context_delete)  # its pointer is NULL, which is a closed one
        self._open_apart = open_apart
        self._window = window
        self._mask_bytes = 4 * -(-n_vocab // 32)
        self._adapters: Sequence[AppliedAdapter] = ()
        self._rows = ffi.new("hr_row[]", info.n_sequences)
        self._tokens = ffi.new("int32_t[]", info.n_batch)
        n_most = info.n_sequences * (1 + info.max_more) + info.max_draft
        self._sampled = ffi.new("int32_t[]", n_most)
        self._logprobs = ffi.new("hr_logprob[]", 1)
        self._report = new_report()
        self._memory_report = new_report()
        self._length = ffi.new("int32_t *")
        self._used = False
        self._closed = False

    @property
    def _context(self) -> Any:
        return self._handle.pointer

    def _is_apart(self, sequence: int) -> bool:
        at = sequence - self.info.n_sequences
        # Any other number is one that there is not, as the shim will say.
        return at >= 0 and at < self.info.n_apart and self._apart.pointer != ffi.NULL

    def _place(self, sequence: int) -> tuple[Any, int]:
        """The context that has the sequence, and its number there."""
        if self._is_apart(sequence):
            return self._apart.pointer, sequence - self.info.n_sequences
        return self._handle.pointer, sequence

    @property
    def _contexts(self) -> list[Any]:
        """Those that there are."""
        return [each.pointer for each in (self._handle, self._apart) if each.pointer != ffi.NULL]

    @property
    def score_limit(self) -> int:
        """Most targets of a row; see ``ScoringDecoder``."""
        return min(map(lib.hr_score_limit, self._contexts), default=0)

    def open_apart(self) -> None:
        """Make the context that reproducible sessions have for themselves; see the protocol.

        Raises:
            ModelMemoryError: If its memory cannot be had.
            ModelLoadError: If llama.cpp refuses for another reason.
        """
        self._check_open()
        if self._apart.pointer != ffi.NULL or not self.info.n_apart:
            return
        made = self._open_apart()
        use_adapters(made.pointer, self._adapters)
        self._apart = made
        if self._closed:
            lib.hr_context_close(made.pointer)

    def new_sampler(
        self, params: SamplingParams, *, seed: int, recent: Sequence[int], ban_eog: bool
    ) -> Sampler:
        """A sampler for one generation; see the protocol."""
        return LlamaSampler(
            self._model,
            params,
            n_ctx=self.info.n_ctx_sequence,
            seed=seed,
            recent=recent,
            ban_eog=ban_eog,
        )

    def use_adapters(self, adapters: Sequence[AppliedAdapter]) -> None:
        """Compute the steps that follow with these; see the protocol."""
        self._check_open()
        self._adapters = tuple(adapters)
        for context in self._contexts:
            use_adapters(context, adapters)

    def step(
        self,
        step_id: int,
        rows: Sequence[Row],
        *,
        time_limit: float | None = None,
        span: float = 0.0,
    ) -> StepOutcome:
        """Run the rows in one native call; see the protocol.

        Raises:
            DecodeError: If the rows do not fit the decoder's state; nothing was run.
            ClosedError: If the decoder was closed.
            BaseException: What a signal handler raised while the step ran, which it ended.
        """
        self._check_open()
        self._report.step_id = 0  # what was there is about to be overwritten
        leading = rows[0].sequence if rows else 0
        context, at = self._place(leading)
        self._fill(rows, first=leading - at)
        check_signals = callbacks.in_main_thread()
        lib.hr_step(
            context,
            step_id,
            self._rows,
            len(rows),
            self._tokens,
            -1.0 if time_limit is None else max(0.0, time_limit),
            span,
            lib.headrace_check if check_signals else ffi.NULL,
            ffi.NULL,
            self._report,
        )
        if check_signals:
            raised = callbacks.take_error()
            if raised is not None:
                raise raised
        outcome = self.outcome(step_id)
        if outcome is None:
            raise error_of(self._report, Operation.STEP)
        if logs.pending():
            logs.drain(QUIETLY if outcome.error is None else sys.maxsize)
        return outcome

    def _fill(self, rows: Sequence[Row], *, first: int) -> None:
        """Write the rows to where the shim reads them; ``first`` is its context's sequence 0.

        They point into the masks, which the caller's rows keep.
        """
        if len(rows) > self.info.n_sequences:
            raise ValueError(f"{len(rows)} rows for {self.info.n_sequences} sequences")
        at = wanted = drafted = sampled = 0
        for index, row in enumerate(rows):
            native = self._rows[index]
            run = row.tokens if not row.draft else [*row.tokens, *row.draft]
            count, n_draft, n_more = len(run), len(row.draft), row.n_more
            if at + count > self.info.n_batch:
                raise ValueError(f"more tokens than n_batch={self.info.n_batch} in a step")
            native.sequence = row.sequence - first
            native.position = row.position
            native.n_tokens, native.n_draft, native.n_more = count - n_draft, n_draft, n_more
            drafted += n_draft
            if drafted > self.info.max_draft:
                raise ValueError(f"drafts of more than {self.info.max_draft} tokens in a step")
            if n_more > self.info.max_more:
                raise ValueError(f"a row wants more than {self.info.max_more} further tokens")
            native.sampled = self._sampled + sampled
            n_places = 1 + n_draft + n_more
            sampled += n_places
            sampler = row.sampler
            if isinstance(sampler, LlamaSampler):
                native.sampler, native.n_top = sampler.pointer, sampler.n_top
                wanted += (sampler.n_top + 1) * n_places
            else:
                native.sampler, native.n_top = ffi.NULL, -1
            if row.allowed is None:
                native.allowed = ffi.NULL
            else:
                native.allowed = self._mask(row.allowed, 1 + len(row.draft))
            if count == 1:
                self._tokens[at] = run[0]
            else:
                self._tokens[at : at + count] = run
            at += count
        if wanted:
            self._place_logprobs(len(rows), wanted)

    def _mask(self, allowed: memoryview, n_places: int) -> Any:
        """The masks of a row as the shim reads them, without a copy."""
        expected = self._mask_bytes * n_places
        if allowed.nbytes != expected:
            raise ValueError(
                f"Row.allowed has {allowed.nbytes} bytes, not {expected}: {self._mask_bytes} for "
                f"each of {n_places} places"
            )
        return address("uint32_t", allowed)

    def _place_logprobs(self, n_rows: int, wanted: int) -> None:
        """Give every row that wants log-probabilities its part of one array."""
        if wanted > len(self._logprobs):
            self._logprobs = ffi.new("hr_logprob[]", wanted)
        at = 0
        for index in range(n_rows):
            native = self._rows[index]
            native.logprobs = self._logprobs + at
            at += (native.n_top + 1) * (1 + native.n_draft + native.n_more)

    def outcome(self, step_id: int) -> StepOutcome | None:
        """What the last step did, again; None for any other id, or if it never ran."""
        report = self._report
        if report.step_id != step_id or step_id == 0:
            return None
        result = meaning_of(report.status).result
        if result is StepStatus.NO_ROOM:
            return StepOutcome(StepStatus.NO_ROOM)
        rows = [self._row_result(self._rows[index]) for index in range(report.n_rows)]
        if isinstance(result, StepStatus):
            return StepOutcome(result, rows)
        return StepOutcome(StepStatus.FAILED, rows, error_of(report, Operation.STEP))

    def _row_result(self, native: Any) -> RowResult:
        if native.status != lib.HR_OK:
            return RowResult(native.length, (), self._row_error(native.status))
        if native.n_sampled == 1:
            tokens: tuple[int, ...] = (native.sampled[0],)
        else:
            tokens = tuple(ffi.unpack(native.sampled, native.n_sampled)) if native.n_sampled else ()
        return RowResult(
            native.length,
            tokens,
            logprobs=_logprobs(native),
            sample_seconds=native.sample_seconds,
        )

    def _row_error(self, status: int) -> HeadraceError:
        return error_of(self._report, Operation.STEP, status=status)

    def interrupt(self, step_id: int) -> None:
        """End that step early, or the moment it starts; a stale id does nothing."""
        # Whichever runs it; to the other it is stale.
        lib.hr_interrupt(self._handle.pointer, step_id)
        lib.hr_interrupt(self._apart.pointer, step_id)

    def recall(self, step_id: int) -> None:
        """Have that step not go on beyond its running computation; a stale id does nothing."""
        lib.hr_recall(self._handle.pointer, step_id)
        lib.hr_recall(self._apart.pointer, step_id)

    def truncate(self, sequence: int, length: int) -> int:
        """Forget all but the first tokens; returns the length kept, 0 where it is impossible."""
        return self._change(lib.hr_truncate, sequence, length)

    def copy(self, source: int, target: int, length: int) -> int:
        """Give the empty target the first tokens of the source; 0 where it is impossible."""
        if self._is_apart(source) or self._is_apart(target):
            return 0
        return self._change(lib.hr_copy, source, target, length)

    def shift(self, sequence: int, start: int, stop: int) -> bool:
        """Forget tokens in the middle and move down what follows; False where it is impossible."""
        return bool(self._change(lib.hr_shift, sequence, start, stop))

    def clear(self, sequence: int) -> None:
        """Forget a sequence."""
        self._change(lib.hr_truncate, sequence, 0)

    def export_state(self, sequence: int) -> memoryview:
        """What the sequence has in memory; empty if it cannot be written down now."""
        size = ffi.new("uint64_t *")
        context, number = self._place(sequence)
        self._call(lib.hr_state_size, context, number, size)
        try:
            data = bytearray(size[0])
        except MemoryError as error:
            raise StateError(
                f"there is no memory for a state of {size[0]} bytes", backend="llamacpp"
            ) from error
        if data:
            written = ffi.from_buffer("uint8_t[]", data)
            self._call(lib.hr_state_get, context, number, written, len(data))
        return memoryview(data)

    def import_state(self, sequence: int, state: memoryview) -> int:
        """Give the sequence such a memory; returns its length, 0 if it could not be had."""
        data = address("uint8_t", state)
        context, number = self._place(sequence)
        self._call(lib.hr_state_set, context, number, data, state.nbytes, self._length)
        length = int(self._length[0])
        if self._is_apart(sequence) and 0 < self._window < length:
            # It has the window alone, and what follows would be put where the rest has been.
            self.clear(sequence)
            return 0
        return length

    def device_memory(self) -> tuple[DeviceMemory, ...]:
        """What the context and its model take of each device's memory."""
        return in_use(self._contexts)

    def score(self, step_id: int, row: ScoreRow) -> ScoreOutcome:
        """How likely the row's targets are, in one native call; see ``ScoringDecoder``."""
        self._check_open()
        context, number = self._place(row.sequence)
        return score(context, step_id, attrs.evolve(row, sequence=number))

    def _change(self, function: Any, sequence: int, *numbers: int) -> int:
        self._call(function, *self._place(sequence), *numbers, self._length)
        return int(self._length[0])

    def _call(self, function: Any, *arguments: Any) -> None:
        self._check_open()
        function(*arguments, self._memory_report)
        check(self._memory_report, Operation.MEMORY)

    def close(self) -> None:
        """Free the context. Closing again does nothing; a running step is ended first."""
        self._closed = True
        lib.hr_context_close(self._handle.pointer)
        lib.hr_context_close(self._apart.pointer)

    def _check_open(self) -> None:
        self._used = True
        if self._closed:
            raise ClosedError("the decoder was closed", backend="llamacpp")

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or sys.is_finalizing():
            return
        self.close()
        if self._used:  # else an interrupt lost it on its way to whoever asked for it
            told = "a LlamaDecoder was dropped without close()"
            warnings.warn(told, ResourceWarning, stacklevel=1)


def _logprobs(native: Any) -> tuple[TokenLogprob, ...]:
    """Those of a row's tokens, if they were asked for."""
    if not native.n_logprobs:
        return ()
    found = ffi.unpack(native.logprobs, native.n_logprobs)
    each = len(found) // native.n_sampled
    return tuple(_logprob(found[at : at + each]) for at in range(0, len(found), each))


def _logprob(found: list[Any]) -> TokenLogprob:
    chosen, *top = found
    alternatives = tuple((each.token, each.logprob) for each in top)
    return TokenLogprob(chosen.token, chosen.logprob, alternatives)
