"""The engine: one decoder, many sequences, and the calls by which sessions use it.

It is made of parts that share an ``EngineState``; what stands here changes sequences between steps,
under the mutex and for microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from headrace.backend.prompts import draw_seed
from headrace.common.locks import held_here
from headrace.common.uncopyable import Uncopyable
from headrace.engine import drafting
from headrace.engine.checked import CheckedDecoder, CheckedVocabulary
from headrace.engine.driver import Driver
from headrace.engine.endings import Endings
from headrace.engine.line import Line, common_prefix
from headrace.engine.readers import Readers
from headrace.engine.role import Role
from headrace.engine.slots import Slots
from headrace.engine.state import EngineState, Run, Sequence
from headrace.errors import (
    BusyError,
    ClosedError,
    ContextFullError,
    HeadraceError,
    UnsupportedError,
)
from headrace.params import EngineParams, SamplingParams, SessionParams
from headrace.params.adapters import Use
from headrace.requests.checks import check_kept
from headrace.results import ModelInfo, StopReason

if TYPE_CHECKING:
    from headrace.masks.matcher import Matcher

_NOTHING: Mapping[int, bytes] = MappingProxyType({})
_T = TypeVar("_T")


class Engine(Uncopyable):
    """Schedules the sequences of one model over one decoder.

    Args:
        decoder: What computes; the engine closes it.
        vocabulary: What its tokens mean.
        model_info: Whose they are.
        params: Settings.
    """

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
        self.state = state = EngineState(decoder, vocabulary, model_info, params)
        self.mutex = state.mutex
        self.slots = Slots(decoder, state.lookahead)
        self.role = Role()
        self.endings = Endings(state, self.role, self.slots)
        self.driver = Driver(state, self.role, self.slots, self.endings)
        self.readers = Readers(state, self.role, self.driver)
        self._apart = False
        """Whether the decoder was told to make its places apart."""

    @property
    def failure(self) -> HeadraceError | None:
        """Why the engine is unusable for good, if it is."""
        return self.state.failure

    @property
    def step_id(self) -> int:
        """The latest id of a step."""
        return self.state.step_id

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
        sequence.room = self.info.n_ctx_sequence - sequence.width + 1
        drafting.equip(sequence, self.state)
        try:
            if params.reproducible:
                self._open_apart()
            with self.mutex:
                self.state.check_usable()
                self.endings.retire_dropped()
                self.state.sequences[sequence] = None
                if sequence.drafter is not None:
                    self.state.speculating[sequence] = None
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

    def drop_sequence(self, sequence: Sequence) -> None:
        """Close a sequence from anywhere, also from a finalizer: takes no lock by force."""
        self.endings.drop(sequence)

    def close_sequence(self, sequence: Sequence) -> None:
        """End its generation with ``ClosedError`` and give its memory back."""
        if held_here(self.mutex):
            self.drop_sequence(sequence)
            return
        with self.mutex:
            self.endings.retire(sequence, ClosedError("the session was closed"))
            if self.role.driver is None:
                self.endings.free_samplers()

    def generate(
        self,
        sequence: Sequence,
        prompt: list[int],
        *,
        sampling: SamplingParams,
        seed: int,
        max_tokens: int | None,
        ignore_eog: bool,
        matcher: Matcher | None = None,
        spoken: Mapping[int, bytes] = _NOTHING,
        beginning: object = None,
    ) -> Run:
        """Append a prompt (possibly none) and begin a generation.

        Raises:
            ContextFullError: If history and prompt do not fit.
        """
        with self.mutex:
            self._check_sequence(sequence)
            sequence.check_adapters()
            needed, limit = len(sequence.line) + len(prompt), sequence.room
            if needed > limit:
                forgotten = min(sequence.forgettable(0) * 2, max(needed - limit, limit // 4))
                if needed - forgotten <= limit and forgotten:
                    sequence.shift_out(forgotten)
                    needed -= forgotten
            if needed > limit:
                raise ContextFullError(
                    f"the prompt does not fit: {len(sequence.line)} tokens of history and "
                    f"{len(prompt)} of prompt are {needed}, the context holds {limit}",
                    n_tokens=needed,
                    n_ctx=limit,
                    hint="Shorten the prompt, or raise EngineParams.n_ctx.",
                    backend=self.model_info.backend,
                )
            generation = Run(
                sequence=sequence,
                prompt_tokens=len(prompt),
                sampling=sampling,
                seed=seed,
                max_tokens=max_tokens,
                ignore_eog=ignore_eog,
                matcher=matcher,
                spoken=spoken,
                beginning=beginning,
            )
            sequence.line.extend(prompt)
            sequence.in_line = False
            sequence.generation = generation
            sequence.last_step = self.state.step_id
            self.state.active[sequence] = None
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
        matcher: Matcher | None = None,
        spoken: Mapping[int, bytes] = _NOTHING,
        beginning: object = None,
    ) -> tuple[Run, int]:
        """Make these tokens the history, keeping what it begins with, and begin a generation.

        Args:
            sequence: An idle one.
            tokens: All of them; at least the last one is run.
            what: What they are, for messages.
            remedy: What to do if they do not fit.
            sampling: How tokens are chosen.
            max_tokens: Most new tokens.
            ignore_eog: Never choose a token that ends the generation.
            matcher: What keeps the output to a grammar.
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
            limit = sequence.room
            if len(tokens) > limit:
                raise ContextFullError(
                    f"the {what} does not fit: it has {len(tokens)} tokens, "
                    f"the context holds {limit}",
                    n_tokens=len(tokens),
                    n_ctx=limit,
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
                matcher=matcher,
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
                self.endings.settle(generation)
            self._check_sequence(sequence)

    def rewind(self, sequence: Sequence, to: int) -> None:
        """Cut the history of an idle sequence."""
        with self.mutex:
            self.check_idle(sequence)
            sequence.forget_after(check_kept(to, len(sequence.line)))
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

    def exclusively(self, action: Callable[[], _T]) -> _T:
        """Run ``action`` while nobody else uses the decoder; see ``Driver.call``."""
        return self.driver.call(action)

    def next_step_id(self) -> int:
        """An id for a native call beside steps; the role is held."""
        return self.driver.next_step_id()

    def compute_with(self, adapters: tuple[Use, ...]) -> None:
        """Have the decoder compute with these from now on; the role is held."""
        self.driver.compute_with(adapters)

    def close(self, then: Callable[[], None]) -> None:
        """End everything and free the decoder; see ``Endings.close``."""
        self.endings.close(then)
