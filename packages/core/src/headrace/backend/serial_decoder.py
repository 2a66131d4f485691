"""``SerialDecoder``: tier 2 for a library that runs one sequence at a time.

A ``SequenceDecoder`` has more to do than to compute: a step may be cut short
by another thread, by a time limit or by a ``KeyboardInterrupt`` between any two
bytecodes, and what it did must be readable afterwards. Here that is done once.
An author supplies five methods, ``new_memory``, ``run``, ``cut``, ``copied`` and
``choose``; the rows of a step are run one after the other.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from headrace.backend.decoder import (
    DecoderInfo,
    Row,
    RowResult,
    Sampler,
    StepOutcome,
    StepStatus,
    Truncation,
)
from headrace.common.uncopyable import Uncopyable
from headrace.errors import ClosedError, GrammarError, HeadraceError, UnsupportedError
from headrace.params import EngineParams, SamplingParams
from headrace.results import TokenLogprob

_Memory = TypeVar("_Memory")
_Logits = TypeVar("_Logits")


def decoder_info(
    params: EngineParams,
    *,
    n_ctx_train: int = 0,
    truncation: Truncation = Truncation.ANY,
    can_copy: bool = True,
    interruptible: bool = True,
) -> DecoderInfo:
    """The limits that follow from what the engine was asked for.

    Args:
        params: What was asked for.
        n_ctx_train: Most tokens of one sequence; 0: as many as there is memory for.
        truncation: How much of a sequence's end can be forgotten.
        can_copy: Whether a memory can be copied.
        interruptible: Whether ``run`` looks in between whether it should end.
    """
    n_ctx = params.context_length(n_ctx_train)
    share = n_ctx // params.n_sequences if params.divided else n_ctx
    return DecoderInfo(
        n_ctx=n_ctx,
        n_ctx_sequence=min(share, n_ctx_train or share),
        n_sequences=params.n_sequences,
        n_batch=params.n_batch,
        truncation=truncation,
        can_copy=can_copy,
        interruptible=interruptible,
        unaffected=True,  # every sequence has a memory of its own
    )


class Interrupted(Exception):
    """Leave ``run``: the step was asked to end. Raised by what ``run`` is given to look with."""


class Alarm:
    """What other threads, finalizers and signal handlers ask of a step. Takes no lock."""

    def __init__(self) -> None:
        self._asked: deque[int] = deque()

    def ring(self, step_id: int) -> None:
        """Ask that step to end, now or when it begins."""
        self._asked.append(step_id)

    def rung(self, step_id: int) -> bool:
        """Whether that step was asked to end; forgets what older steps were asked."""
        found = False
        for _ in range(len(self._asked)):
            asked = self._asked.popleft()
            found = found or asked == step_id
            if asked > step_id:
                self._asked.append(asked)
        return found


class _Chosen(NamedTuple):
    n_chosen: int
    """Tokens chosen so far in the generation."""
    step_id: int
    """The step that chose the last one."""
    tokens: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...]
    recent: tuple[int, ...]
    """What the repeat penalty looks at."""


class SerialSampler:
    """One generation's choices. A choice that is interrupted and made again is the same."""

    def __init__(
        self, params: SamplingParams, *, seed: int, window: int, recent: Sequence[int], ban: bool
    ) -> None:
        self._params = params
        self._seed = seed
        self._window = window if params.repeat_penalty != 1.0 else 0
        self._ban_eog = ban
        # One tuple, so that an interrupt between two bytecodes leaves the old or the new one.
        self._state = _Chosen(0, -1, (), (), self._last(recent))

    def choose(
        self,
        step_id: int,
        decoder: SerialDecoder[_Memory, _Logits],
        logits: _Logits,
        allowed: memoryview | None,
    ) -> None:
        """Choose and accept a token."""
        if allowed is not None and not any(allowed):
            raise GrammarError("the grammar allows no further token")
        state, params = self._state, self._params
        token = decoder.choose(
            logits,
            params,
            recent=state.recent,
            # A number for each seed and count, drawn anew: nothing has to be taken back.
            draw=random.Random(self._seed << 31 | state.n_chosen).random(),
            # A mask has the ends only where nothing else is left.
            ban_eog=self._ban_eog and allowed is None,
            allowed=allowed,
        )
        logprobs: tuple[TokenLogprob, ...] = ()
        if params.logprobs is not None:
            logprobs = (decoder.logprob(logits, token, params.logprobs),)
        recent = self._last((*state.recent, token))
        self._state = _Chosen(state.n_chosen + 1, step_id, (token,), logprobs, recent)

    def result(self, step_id: int, length: int, error: HeadraceError | None) -> RowResult:
        """A row's result: with a token, if that step chose one."""
        state = self._state
        if state.step_id != step_id:
            return RowResult(length, (), error)
        return RowResult(length, state.tokens, error, state.logprobs)

    def _last(self, tokens: Sequence[int]) -> tuple[int, ...]:
        return tuple(tokens[-self._window :]) if self._window else ()

    def close(self) -> None:
        """There is nothing to free."""


class _Step:
    """The last step; interrupted until it is known to be better or worse."""

    def __init__(self, step_id: int, rows: Sequence[Row]) -> None:
        self.step_id = step_id
        self.rows = rows
        self.status = StepStatus.INTERRUPTED
        self.errors: dict[int, HeadraceError] = {}


class SerialDecoder(Uncopyable, ABC, Generic[_Memory, _Logits]):
    """Several sequences, whose rows are run one after the other.

    Every change is noted before it is made and can be made again, so that it survives a
    ``KeyboardInterrupt``: ``_lengths`` says what counts, ``_loose`` that a memory may hold more.

    Args:
        info: See ``decoder_info``.
    """

    def __init__(self, info: DecoderInfo) -> None:
        self.info = info
        self._memories: list[_Memory | None] = [None] * info.n_sequences
        self._lengths = [0] * info.n_sequences
        self._loose = [False] * info.n_sequences
        self._alarm = Alarm()
        self._last = _Step(-1, ())
        self._closed = False

    # What an author supplies.

    @abstractmethod
    def new_memory(self) -> _Memory:
        """The memory of an empty sequence."""

    @abstractmethod
    def run(self, memory: _Memory, tokens: Sequence[int], check: Callable[[], None]) -> _Logits:
        """Run tokens after those in memory, which holds them as well afterwards.

        Args:
            memory: Changed in place.
            tokens: At least one.
            check: To be called as often as it costs nothing, between layers for example. It
                raises ``Interrupted`` when the step is to end; let it pass.

        Returns:
            What ``choose`` needs to choose the token after the last one.

        Raises:
            HeadraceError: Ends the stream of this sequence only.
        """

    @abstractmethod
    def cut(self, memory: _Memory, length: int) -> bool:
        """Forget all but the first ``length`` tokens, at least one; False if that is impossible.

        The memory may hold as many already, or more of it in one layer than in another: what
        a ``run`` leaves that did not come to its end.
        """

    @abstractmethod
    def choose(
        self,
        logits: _Logits,
        params: SamplingParams,
        *,
        recent: Sequence[int],
        draw: float,
        ban_eog: bool,
        allowed: memoryview | None,
    ) -> int:
        """Choose a token.

        Args:
            logits: What ``run`` returned; not to be changed.
            params: ``temperature``, ``top_k``, ``top_p``, ``min_p`` and ``repeat_penalty`` matter;
                others come up only for models with ``Capability.SAMPLERS``.
            recent: The tokens that the repeat penalty is for; none without one.
            draw: The random number, 0 ≤ draw < 1: the same for the same seed and place.
            ban_eog: Do not choose a token that ends the generation.
            allowed: What may be chosen, one mask as in ``Row.allowed``; None: everything. It
                comes only to models with ``Capability.GRAMMAR``. ``allowed_tokens`` lists the
                ids; with numpy, ``unpackbits(frombuffer(allowed, "u1"), bitorder="little")``
                has a 1 for each token that is allowed.

        Raises:
            HeadraceError: Ends the stream of this sequence only.
        """

    def copied(self, memory: _Memory, length: int) -> _Memory | None:
        """A memory of the first ``length`` tokens of another; None if that is impossible."""
        return None

    def logprob(self, logits: _Logits, token: int, n_top: int) -> TokenLogprob:
        """How likely a token was, for models with ``Capability.LOGPROBS``."""
        raise UnsupportedError("this decoder gives no log-probabilities")

    # The protocol.

    def new_sampler(
        self, params: SamplingParams, *, seed: int, recent: Sequence[int], ban_eog: bool
    ) -> Sampler:
        """A sampler for one generation."""
        window = params.window(params.repeat_last_n, self.info.n_ctx_sequence)
        return SerialSampler(params, seed=seed, window=window, recent=recent, ban=ban_eog)

    def step(
        self, step_id: int, rows: Sequence[Row], *, time_limit: float | None = None
    ) -> StepOutcome:
        """Run the rows, one after the other."""
        if self._closed:
            raise ClosedError("the decoder was closed")
        step = self._last = _Step(step_id, rows)
        deadline = None if time_limit is None else time.monotonic() + time_limit

        def check() -> None:
            late = deadline is not None and time.monotonic() >= deadline
            if late or self._alarm.rung(step_id):
                raise Interrupted

        try:
            if self._fits(rows):
                self._run_all(step, check)
            else:
                step.status = StepStatus.NO_ROOM
        except Interrupted:
            pass
        return self._outcome(step)

    def outcome(self, step_id: int) -> StepOutcome | None:
        """What the last step did, again; None for any other id."""
        return self._outcome(self._last) if self._last.step_id == step_id else None

    def interrupt(self, step_id: int) -> None:
        """End that step early, or the moment it starts; a stale id does nothing."""
        self._alarm.ring(step_id)

    def truncate(self, sequence: int, length: int) -> int:
        """Forget all but the first tokens; returns the length kept, 0 where it is impossible."""
        if length < self._lengths[sequence]:
            self._loose[sequence] = True
            self._lengths[sequence] = length
        return self._settled(sequence)

    def copy(self, source: int, target: int, length: int) -> int:
        """Give the empty target the first tokens of the source; 0 where it is impossible."""
        memory = self._memories[source] if self._settled(source) else None
        room = sum(self._lengths) + length <= self.info.n_ctx
        copied = self.copied(memory, length) if memory is not None and room else None
        if copied is None:
            return 0
        self._memories[target] = copied
        self._lengths[target] = length
        return length

    def shift(self, sequence: int, start: int, stop: int) -> bool:
        """Impossible: nobody knows here how memory depends on places."""
        return False

    def clear(self, sequence: int) -> None:
        """Forget a sequence."""
        self._lengths[sequence] = 0
        self._memories[sequence] = None
        self._loose[sequence] = False

    def close(self) -> None:
        """Forget everything. Closing again does nothing."""
        self._closed = True
        for sequence in range(self.info.n_sequences):
            self.clear(sequence)

    # How it is done.

    def _fits(self, rows: Sequence[Row]) -> bool:
        longest = max(row.position + len(row.tokens) for row in rows)
        total = sum(self._lengths) + sum(len(row.tokens) for row in rows)
        return longest <= self.info.n_ctx_sequence and total <= self.info.n_ctx

    def _run_all(self, step: _Step, check: Callable[[], None]) -> None:
        for index, row in enumerate(step.rows):
            check()
            try:
                self._run(step.step_id, row, check)
            except HeadraceError as error:
                step.errors[index] = error
        step.status = StepStatus.DONE

    def _run(self, step_id: int, row: Row, check: Callable[[], None]) -> None:
        sequence = row.sequence
        memory = self._memories[sequence] if self._settled(sequence) else None
        if memory is None:
            memory = self._memories[sequence] = self.new_memory()
        self._loose[sequence] = True
        logits = self.run(memory, row.tokens, check)
        self._lengths[sequence] = row.position + len(row.tokens)
        self._loose[sequence] = False
        if isinstance(row.sampler, SerialSampler):
            row.sampler.choose(step_id, self, logits, row.allowed)

    def _settled(self, sequence: int) -> int:
        """The sequence's length, its memory brought to it; 0 if it had to be dropped."""
        if self._loose[sequence]:
            memory, length = self._memories[sequence], self._lengths[sequence]
            if memory is None or not length or not self.cut(memory, length):
                self.clear(sequence)
            self._loose[sequence] = False
        return self._lengths[sequence]

    def _outcome(self, step: _Step) -> StepOutcome:
        if step.status is StepStatus.NO_ROOM:
            return StepOutcome(step.status)
        return StepOutcome(
            step.status,
            [self._result(step, index, row) for index, row in enumerate(step.rows)],
        )

    def _result(self, step: _Step, index: int, row: Row) -> RowResult:
        length, error = self._settled(row.sequence), step.errors.get(index)
        if isinstance(row.sampler, SerialSampler):
            return row.sampler.result(step.step_id, length, error)
        return RowResult(length, (), error)
