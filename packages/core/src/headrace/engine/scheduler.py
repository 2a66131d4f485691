"""The engine: one decoder, many sequences, and the calls by which sessions use it.

Readers come in by ``Pulling``, steps are run by ``Driving``; what stands here
changes sequences between steps, under the mutex and for microseconds.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from types import MappingProxyType

from headrace.engine import drafting
from headrace.engine.calls import Calls
from headrace.engine.generation import EngineGeneration
from headrace.engine.prompts import draw_seed
from headrace.engine.sequence import Line, Sequence, common_prefix
from headrace.errors import (
    BusyError,
    ClosedError,
    ContextFullError,
    ParamsError,
    UnsupportedError,
)
from headrace.params import SamplingParams, SessionParams
from headrace.results import StopReason
from headrace.streams.generation import GenerationReport

_NOTHING: Mapping[int, bytes] = MappingProxyType({})


class Engine(Calls):
    """Schedules the sequences of one model over one decoder."""

    _apart = False
    """Whether the decoder was told to make its places apart."""

    def open_sequence(self, params: SessionParams) -> Sequence:
        """A new, empty sequence; it takes memory when it first runs."""
        if params.on_context_full == "shift" and not self.info.can_shift:
            raise UnsupportedError(
                f"the memory of {self.model_info.name!r} cannot be shifted",
                hint="Open the session with on_context_full='stop', or try "
                "EngineParams(full_window=True) for a model with a sliding window.",
                backend=self.model_info.backend,
            )
        sequence = Sequence(params)
        sequence.check_adapters()
        sequence.width = drafting.width(params, self.info, self.model_info.backend)
        if params.speculate is not None:
            sequence.max_draft = min(params.speculate.max_draft, self.info.max_draft)
            sequence.drafter = drafting.make_drafter(params.speculate, self)
        try:
            if params.reproducible:
                self._open_apart()
            with self.mutex:
                self._check_usable()
                self._retire_dropped()
                self._sequences[sequence] = None
                if sequence.drafter is not None:
                    self._speculating[sequence] = None
        except BaseException:
            if sequence.drafter is not None:
                sequence.drafter.close()
            raise
        return sequence

    def _open_apart(self) -> None:
        """Have the places that reproducible sessions have for themselves, if they are not there."""
        if self.info.n_apart and not self._apart:
            self.exclusively(self.decoder.open_apart)
            self._apart = True

    def room(self, sequence: Sequence) -> int:
        """Most tokens that a sequence's line may have."""
        return self.info.n_ctx_sequence - sequence.width + 1

    def drop_sequence(self, sequence: Sequence) -> None:
        """Close a sequence from anywhere, also from a finalizer: takes no lock by force."""
        self._dropped.append(sequence)
        generation = sequence.generation
        if generation is not None:
            generation.interrupt(StopReason.CANCELLED)

    def close_sequence(self, sequence: Sequence) -> None:
        """End its generation with ``ClosedError`` and give its memory back."""
        if self.mutex._is_owned():  # type: ignore[attr-defined]
            self.drop_sequence(sequence)
            return
        with self.mutex:
            self._retire(sequence, ClosedError("the session was closed"))
            if self._role.driver is None:
                self._free_samplers()

    def generate(
        self,
        sequence: Sequence,
        prompt: list[int],
        *,
        sampling: SamplingParams,
        seed: int,
        max_tokens: int | None,
        ignore_eog: bool,
        spoken: Mapping[int, bytes] = _NOTHING,
        beginning: object = None,
    ) -> EngineGeneration:
        """Append a prompt (possibly none) and begin a generation.

        Raises:
            ContextFullError: If history and prompt do not fit.
        """
        with self.mutex:
            self._check_sequence(sequence)
            sequence.check_adapters()
            needed, limit = len(sequence.line) + len(prompt), self.room(sequence)
            if needed > limit:
                forgotten = min(sequence.forgettable(0) * 2, max(needed - limit, limit // 4))
                if needed - forgotten <= limit and forgotten:
                    sequence.shift_out(forgotten)
                    needed -= forgotten
            if needed > limit:
                raise ContextFullError(
                    f"the prompt does not fit: {len(sequence.line)} tokens of history and "
                    f"{len(prompt)} of prompt are {needed}, the context holds {limit}",
                    hint="Shorten the prompt, or raise EngineParams.n_ctx.",
                    backend=self.model_info.backend,
                )
            generation = EngineGeneration(
                self,
                sequence,
                prompt,
                sampling=sampling,
                seed=seed,
                max_tokens=max_tokens,
                ignore_eog=ignore_eog,
                spoken=spoken,
                beginning=beginning,
            )
            sequence.line.extend(prompt)
            sequence.in_line = False
            sequence.generation = generation
            sequence.last_step = self._step_id
            self._active[sequence] = None
            if max_tokens == 0 and len(sequence.line) == 1:
                generation.end = StopReason.MAX_TOKENS  # the last token stays pending
        return generation

    def begin_anew(
        self,
        sequence: Sequence,
        tokens: list[int],
        *,
        what: str,
        remedy: str,
        sampling: SamplingParams,
        max_tokens: int | None,
        ignore_eog: bool = False,
        spoken: Mapping[int, bytes] = _NOTHING,
        beginning: object = None,
    ) -> tuple[EngineGeneration, int]:
        """Make these tokens the history, keeping what it begins with, and begin a generation.

        Args:
            sequence: An idle one.
            tokens: All of them; at least the last one is run.
            what: What they are, for messages.
            remedy: What to do if they do not fit.
            sampling: How tokens are chosen.
            max_tokens: Most new tokens.
            ignore_eog: Never choose a token that ends the generation.
            spoken: Texts of control tokens that the reader needs to see.
            beginning: Stands for the call that begins it.

        Returns:
            The generation, and how many tokens of the history were kept.

        Raises:
            ContextFullError: If they do not fit; the history is as before.
        """
        with self.mutex:
            self.check_idle(sequence)
            sequence.check_adapters()
            limit = self.room(sequence)
            if len(tokens) > limit:
                raise ContextFullError(
                    f"the {what} does not fit: it has {len(tokens)} tokens, "
                    f"the context holds {limit}",
                    hint=f"{remedy}, or raise EngineParams.n_ctx.",
                    backend=self.model_info.backend,
                )
            kept = min(common_prefix(sequence.line, tokens), len(tokens) - 1)
            self.rewind(sequence, kept)
            generation = self.generate(
                sequence,
                tokens[kept:],
                sampling=sampling,
                seed=draw_seed(sampling),
                max_tokens=max_tokens,
                ignore_eog=ignore_eog,
                spoken=spoken,
                beginning=beginning,
            )
            return generation, kept

    def check_idle(self, sequence: Sequence) -> None:
        """Raise unless a generation can begin; one that was cancelled is settled first.

        Raises:
            BusyError: While another generation is under way.
            ClosedError, DecodeError: If the sequence is unusable.
        """
        with self.mutex:
            generation = sequence.generation
            if generation is not None and (
                generation.interrupted is not None or generation.error is not None
            ):
                self.settle(generation)
            self._check_sequence(sequence)

    def rewind(self, sequence: Sequence, to: int) -> None:
        """Cut the history of an idle sequence."""
        with self.mutex:
            self.check_idle(sequence)
            length = len(sequence.line)
            whole = isinstance(to, numbers.Integral) and not isinstance(to, bool)
            if not whole or not 0 <= to <= length:
                raise ParamsError(
                    f"to must be a whole number from 0 to {length}, got {to!r}",
                    hint="It is the number of tokens to keep.",
                )
            sequence.forget_after(to)
            sequence.carry = b""

    def set_params(self, sequence: Sequence, params: SessionParams) -> None:
        """Give an idle sequence other adapters; memory computed with those before is rebuilt."""
        with self.mutex:
            self.check_idle(sequence)
            sequence.params = params
            sequence.in_line = False

    def copy_history(self, source: Sequence, target: Sequence) -> None:
        """Give a new sequence the history of an idle one."""
        with self.mutex:
            self.check_idle(source)
            target.line = Line(source.line)
            target.cuts = list(source.cuts)
            target.cramped = source.cramped
            target.carry = source.carry
            target.stored = source.stored

    def settle(self, generation: EngineGeneration) -> GenerationReport:
        """End a generation: the history is what was prompted and seen."""
        with self.mutex:
            if generation.report is not None:
                return generation.report
            report = generation.make_report()
            sequence = generation.sequence
            sequence.forget_after(generation.remembered())
            sequence.carry = generation.carry
            sequence.generation = sequence.proposal = None
            self._active.pop(sequence, None)
            generation.report = report
            self._set_aside_sampler(generation)
            if self._role.driver is None:
                self._free_samplers()
        return report

    def history(self, sequence: Sequence) -> list[int]:
        """The prompt tokens processed and the tokens delivered."""
        with self.mutex:
            generation = sequence.generation
            end = len(sequence.line) if generation is None else generation.remembered()
            return sequence.line[:end]

    def _check_sequence(self, sequence: Sequence) -> None:
        if sequence.failure is not None:
            raise sequence.failure.again()
        if sequence.generation is not None:
            raise BusyError(
                "the session has a generation under way",
                hint="End it with stream.cancel(), or open another session.",
                backend=self.model_info.backend,
            )
