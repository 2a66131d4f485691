"""``ModelDrafter``: a smaller model proposes what it would write itself, greedily.

It has a context of its own, used by whoever drives the engine of the model that
verifies. So nothing of the small model's own engine takes part, and two models
may draft for each other without waiting for each other.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice

from headrace.backend.decoder import Row, Sampler, StepStatus, Vocabulary
from headrace.common.uncopyable import Uncopyable
from headrace.engine.checked import CheckedDecoder, Reported
from headrace.engine.line import common_prefix
from headrace.engine.waiting import ThreadWaiter
from headrace.errors import ParamsError
from headrace.params import SamplingParams
from headrace.results import ModelInfo

_HEARTBEAT = 0.2
_COMPARED = 1024
"""Tokens whose text is compared, spread over the vocabulary."""


class ModelDrafter(Uncopyable):
    """A drafter over a decoder with one sequence, which it owns.

    Args:
        decoder: Of the small model; its memory must be able to forget its end.
        min_probability: From when on its choice is not worth proposing.
    """

    def __init__(self, decoder: CheckedDecoder, min_probability: float) -> None:
        self._decoder = decoder
        # Without the probabilities nothing has to be summed over the vocabulary.
        self._sampling = SamplingParams(temperature=0.0, logprobs=0 if min_probability else None)
        self._min_logprob = math.log(min_probability) if min_probability else -math.inf
        self._step_id = 0
        self._resident: list[int] | None = []
        """What memory holds; None while that is not known."""
        self._user: int | None = None
        self._left = ThreadWaiter()
        self._closing = False
        self._owed = False

    def propose(
        self,
        line: list[int],
        limit: int,
        over: Callable[[], bool],
        deadline: float | None,
    ) -> Sequence[int]:
        """What the small model would write."""
        self._user = threading.get_ident()
        try:
            # Whoever closes sets the flag and then looks for a user: one sees the other.
            if self._closing or len(line) + limit > self._decoder.info.n_ctx_sequence:
                return ()
            sampler = self._decoder.new_sampler(self._sampling, seed=0, recent=(), ban_eog=True)
            try:
                return self._write(line, limit, sampler, over, deadline)
            finally:
                sampler.close()
        finally:
            self._user = None
            try:
                self._left.wake()
            finally:
                if self._owed:
                    self._decoder.close()

    def _write(
        self,
        line: list[int],
        limit: int,
        sampler: Sampler,
        over: Callable[[], bool],
        deadline: float | None,
    ) -> list[int]:
        resident = self._bring_in_line(line)
        proposed: list[int] = []
        pending = line[len(resident) :]
        while len(proposed) < limit:
            chunk = pending[: self._decoder.info.n_batch]
            last = len(chunk) == len(pending)
            self._step_id += 1
            if over() or self._closing:  # after the id is known, or an interrupt could miss it
                break
            left = None if deadline is None else deadline - time.monotonic()
            row = Row(0, len(resident), chunk, sampler if last else None)
            outcome = self._decoder.step(self._step_id, [row], time_limit=left)
            if outcome.error is not None:
                raise Reported(outcome.error)
            if outcome.status is StepStatus.NO_ROOM:
                return proposed
            result = outcome.rows[0]
            error = self._decoder.flaw(row, result, outcome.status) or result.error
            if error is not None:
                raise Reported(error)
            resident += chunk
            if outcome.status is not StepStatus.DONE:
                # What was finished stays, or one that is always interrupted would never be done.
                del resident[result.length :]
                break
            pending = pending[len(chunk) :]
            if last:
                if any(each.logprob < self._min_logprob for each in result.logprobs):
                    break
                pending = list(result.tokens)
                proposed += pending
        self._resident = resident
        return proposed

    def _bring_in_line(self, line: list[int]) -> list[int]:
        resident, self._resident = self._resident, None
        if resident is None:
            self._decoder.clear(0)
            return []
        keep = min(common_prefix(resident, line), len(line) - 1)
        if keep < len(resident):
            del resident[self._decoder.truncate(0, keep) :]
        return resident

    def interrupt(self) -> None:
        """End the running step; ``over`` is then looked at."""
        self._decoder.interrupt(self._step_id)

    def close(self) -> None:
        """Free the context, after a running step has been ended."""
        self._closing = True
        me = threading.get_ident()
        while self._user not in (None, me):
            self.interrupt()
            self._left.wait(_HEARTBEAT)
        if self._user is None:
            self._decoder.close()
        else:
            self._owed = True  # from a signal handler or finalizer inside ``propose``


def check_same_vocabulary(
    target: tuple[ModelInfo, Vocabulary], draft: tuple[ModelInfo, Vocabulary]
) -> None:
    """Raise unless a token id means the same to both models.

    Raises:
        ParamsError: Naming the difference.
    """
    (info, vocabulary), (draft_info, draft_vocabulary) = target, draft
    difference = None
    if info.n_vocab != draft_info.n_vocab:
        difference = f"{draft_info.n_vocab} tokens instead of {info.n_vocab}"
    elif info.special_tokens != draft_info.special_tokens:
        difference = f"special tokens {draft_info.special_tokens} instead of {info.special_tokens}"
    else:
        step = max(1, info.n_vocab // _COMPARED)
        for token in islice(range(0, info.n_vocab, step), 2 * _COMPARED):
            ours, theirs = vocabulary.piece(token), draft_vocabulary.piece(token)
            if ours != theirs:
                difference = f"{theirs!r} instead of {ours!r} as token {token}"
                break
    if difference is not None:
        raise ParamsError(
            f"DraftModel.model must have the vocabulary of {info.name!r}; "
            f"{draft_info.name!r} has {difference}",
            hint="A draft model is a smaller one of the same family.",
        )
