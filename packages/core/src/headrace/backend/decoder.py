"""Tier 2, the sequence decoder: what an in-process library implements.

``headrace.engine`` calls a decoder from one thread at a time (whichever
consumer drives at the moment, so not always the same thread); only
``interrupt`` may come from any thread at any time. A decoder keeps no history
and makes no decision: it runs the rows it is given and says what its memory
holds afterwards.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

import attrs

from headrace.errors import HeadraceError
from headrace.params import EngineParams, SamplingParams
from headrace.results import ModelInfo, TokenLogprob


class Truncation(str, enum.Enum):
    """How much of a sequence's end its memory can forget."""

    ANY = "any"
    """Down to any length (attention)."""
    RECENT = "recent"
    """A few tokens, as far as a sliding window still reaches."""
    NONE = "none"
    """Nothing but all (recurrent)."""


class StepStatus(str, enum.Enum):
    """How a native call ended."""

    DONE = "done"
    """Every row was run, or has an error of its own."""
    NO_ROOM = "no_room"
    """The rows do not fit into memory beside what is there; nothing was changed."""
    INTERRUPTED = "interrupted"
    """``interrupt`` or the time limit ended it; each row tells what its memory holds."""
    FAILED = "failed"
    """The computation failed; ``StepOutcome.error`` says why, and if the context is poisoned."""


@attrs.frozen(kw_only=True)
class DecoderInfo:
    """Limits and abilities of a decoder."""

    n_ctx: int
    """Cells of memory for all sequences together, in tokens."""
    n_ctx_sequence: int
    """Most tokens of one sequence."""
    n_sequences: int
    """Sequences that can be resident: valid sequence numbers are 0 … n_sequences−1."""
    n_batch: int
    """Most tokens of one step."""
    truncation: Truncation
    can_copy: bool
    """Whether ``copy`` works."""
    can_shift: bool = False
    """Whether ``shift`` works."""
    interruptible: bool
    """Whether ``interrupt`` takes effect inside a step, or only before the next one."""
    max_draft: int = 0
    """Most draft tokens of all rows of a step together; 0: rows have no drafts."""
    width_multiple: int = 0
    """If all native calls of a sequence are as wide as a multiple of this, what is computed for a
    token does not depend on the tokens beside it nor on its place among them; 0: not known."""
    max_more: int = 0
    """Most tokens that a row may want beyond its first, see ``Row.n_more`` and ``RecalledDecoder``;
    0: a step samples once."""
    unaffected: bool = False
    """Whether what is computed for a sequence depends neither on where in memory it lies nor on
    what lies or lay there beside it, as where every sequence has a memory of its own. Without
    it, and without ``n_apart``, no receipt says that a run was reproducible."""
    n_apart: int = 0
    """Sequences beside those, with numbers from n_sequences on, each alone in a memory where
    nothing is left of what was there before; see ``ApartDecoder``. Reproducible sessions have
    them, others never."""

    n_threads: int | None = None
    """Threads that steps are computed with; None: not told."""
    threads_vary: bool = False
    """Whether those are the most that steps are computed with, unless they are of a reproducible
    session."""

    @property
    def reproduces(self) -> bool:
        """Whether there is a place for reproducible sessions in which they are."""
        return self.unaffected or self.n_apart > 0


class Sampler(Protocol):
    """Chooses tokens for one generation; lives as long as it."""

    def close(self) -> None:
        """Free what it holds. Closing again does nothing."""
        ...


@attrs.define(slots=True)
class Row:
    """What one sequence contributes to a step."""

    sequence: int
    """Its number, 0 … n_sequences−1, or of one that is apart."""
    position: int
    """Length of its memory before the step: where the first token goes."""
    tokens: Sequence[int]
    """Token ids to run, at least one."""
    sampler: Sampler | None
    """Samples one token after the last one of the row; None: no output is wanted."""
    draft: Sequence[int] = ()
    """Token ids proposed to follow. They are run as well, and the sampler goes on after each of
    them for as long as it chooses what was proposed. Memory forgets the others; without a
    sampler it forgets them all."""
    n_more: int = 0
    """Tokens wanted beyond the first, each computed from the one before: where every row of a step
    wants some, the step goes on with them, see ``RecalledDecoder.step``. A row that wants more has
    a sampler, and neither a draft nor masks."""
    allowed: memoryview | None = None
    """Which tokens may be sampled; None: all. A bit for each token, in ⌈n_tokens / 32⌉ words of
    32 bits, little-endian, the first token lowest: one such mask for the place after the last
    token, then one for the place after each token of the draft. Masks come before all samplers,
    and are not reported: log-probabilities are those without them. An end that is allowed may be
    sampled though it was banned, if nothing else can; where nothing can, the row has a
    ``GrammarError``. Only models with ``Capability.GRAMMAR`` get masks."""


def mask_size(n_tokens: int) -> int:
    """Bytes of one mask of ``Row.allowed`` over so many tokens."""
    return -(-n_tokens // 32) * 4


def allowed_tokens(allowed: memoryview, n_tokens: int, place: int = 0) -> list[int]:
    """The ids that one mask of ``Row.allowed`` allows, in their order.

    Args:
        allowed: The masks.
        n_tokens: Tokens of the vocabulary.
        place: Which mask: 0 for the place after the row's last token.
    """
    size = mask_size(n_tokens)
    mask = allowed[place * size : (place + 1) * size]
    return [
        at * 8 + bit for at, byte in enumerate(mask) if byte for bit in range(8) if byte >> bit & 1
    ]


def is_allowed(allowed: memoryview, n_tokens: int, token: int, place: int = 0) -> bool:
    """Whether one mask of ``Row.allowed`` allows a token; see ``allowed_tokens``."""
    at = place * mask_size(n_tokens) + (token >> 3)
    return bool(allowed[at] >> (token & 7) & 1)


@attrs.define(slots=True)
class RowResult:
    """What came out of a row."""

    length: int
    """Tokens of the sequence in memory after the step; 0 if its memory was lost."""
    tokens: tuple[int, ...] = ()
    """Token ids sampled, already accepted by the sampler; all but the last are in memory."""
    error: HeadraceError | None = None
    """Ends this row's stream only."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """One for each of the tokens, if the sampler was made with ``logprobs``."""
    sample_seconds: float = 0.0
    """Time spent on choosing the tokens; 0 where it is not measured."""


@attrs.define(slots=True)
class StepOutcome:
    """What came out of a step."""

    status: StepStatus
    rows: Sequence[RowResult] = ()
    """One for each row, in order; empty with ``NO_ROOM``."""
    error: HeadraceError | None = None
    """With ``FAILED``."""


class Vocabulary(Protocol):
    """Text to tokens and back. Thread-safe."""

    @property
    def n_tokens(self) -> int:
        """Valid ids are 0 … n_tokens−1."""
        ...

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of a text that is valid Unicode (no lone surrogates).

        Raises:
            TokenizeError: If the text is too long or the library refuses it.
        """
        ...

    def detokenize(self, tokens: Sequence[int], *, special: bool) -> bytes:
        """Bytes of valid token ids as one text; control tokens only if ``special``."""
        ...

    def piece(self, token: int) -> bytes:
        """Bytes of one token as it appears in a stream; empty for control tokens."""
        ...

    def is_eog(self, token: int) -> bool:
        """Whether the token ends a generation."""
        ...


class SequenceDecoder(Protocol):
    """A library's context: several sequences, one memory, one native call at a time."""

    @property
    def info(self) -> DecoderInfo:
        """Limits and abilities."""
        ...

    def new_sampler(
        self, params: SamplingParams, *, seed: int, recent: Sequence[int], ban_eog: bool
    ) -> Sampler:
        """A sampler for one generation.

        Args:
            params: What was asked for, without the grammar: see ``Row.allowed``.
            seed: The seed to use, whatever ``params.seed`` says.
            recent: End of the history, this generation's prompt included, oldest first, for
                penalties that look back.
            ban_eog: Never choose a token that ends the generation.
        """
        ...

    def step(
        self, step_id: int, rows: Sequence[Row], *, time_limit: float | None = None
    ) -> StepOutcome:
        """Run the rows in one native call.

        A ``KeyboardInterrupt`` may be raised once the call has ended early;
        ``outcome(step_id)`` then still tells what happened.

        Args:
            step_id: Larger than every earlier one.
            rows: At most one for each sequence, at most ``n_batch`` tokens in all.
            time_limit: Seconds after which the step interrupts itself.
        """
        ...

    def outcome(self, step_id: int) -> StepOutcome | None:
        """The outcome of the last step, again; None if that step never ran."""
        ...

    def interrupt(self, step_id: int) -> None:
        """End the step early, or the moment it starts. A stale id does nothing. Takes no lock."""
        ...

    def truncate(self, sequence: int, length: int) -> int:
        """Forget all but the first ``length`` tokens; returns the length kept.

        Where that is impossible the sequence is cleared and 0 returned: what
        is kept can always be gone on from.
        """
        ...

    def copy(self, source: int, target: int, length: int) -> int:
        """Give the empty ``target`` the first tokens of ``source``; returns how many it has."""
        ...

    def shift(self, sequence: int, start: int, stop: int) -> bool:
        """Forget the tokens ``start … stop − 1`` and move what follows down to ``start``.

        False, with nothing changed, where the memory cannot do it.
        """
        ...

    def clear(self, sequence: int) -> None:
        """Forget a sequence."""
        ...

    def close(self) -> None:
        """Free the context. Closing again does nothing."""
        ...


class DecoderModel(Protocol):
    """A library's loaded model: what ``headrace.engine.EngineModel`` is made of."""

    @property
    def info(self) -> ModelInfo:
        """What is known of it."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """Its tokens."""
        ...

    def generate_hint(self) -> str | None:
        """Why the model opens no session (vocabulary only, encoder only, …), or None if it does."""
        ...

    def open_decoder(self, params: EngineParams) -> SequenceDecoder:
        """A new context.

        Raises:
            ModelMemoryError: If its memory cannot be had.
            ModelLoadError: If the library refuses for another reason.
        """
        ...

    def close(self) -> None:
        """Free the weights; every decoder is closed by then. Closing again does nothing."""
        ...
