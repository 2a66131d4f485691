"""``Matcher``: one output on its way through a grammar."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from headrace.backend.decoder import mask_size
from headrace.errors import GrammarError
from headrace.grammar import library


class Matcher:
    """What may follow the tokens of one output.

    For one thread at a time. A call may be interrupted between any two bytecodes: then how much
    was consumed is not known, and the next call begins at the beginning again.

    Args:
        fresh: An ``llguidance.LLMatcher`` at its beginning; copied, never changed.
        n_tokens: Tokens of the vocabulary.
        eog: Those that end a generation.
        ban_eog: Allow them only where nothing else is allowed.
        dear: Whether masks may take milliseconds, so that it is better to draw first and ask then.
        tokenize: Bytes to tokens, as the model would have written them.
    """

    def __init__(
        self,
        fresh: Any,
        n_tokens: int,
        eog: Sequence[int],
        *,
        ban_eog: bool,
        dear: bool,
        tokenize: Callable[[bytes], list[int]],
    ) -> None:
        self.dear = dear
        self._fresh = fresh
        self._tokenize = tokenize
        self._bytes = mask_size(n_tokens)
        self._ends = tuple(eog)
        self._ban_eog = ban_eog
        self._output: list[int] = []
        self._matcher: Any = None
        """Where the output has led to; None: not known."""

    @property
    def length(self) -> int:
        """Tokens of the output so far."""
        return len(self._output)

    def follow(self, at: int, tokens: Sequence[int]) -> None:
        """Go on with tokens of the output; what was followed already is not followed again.

        Args:
            at: Index in the output of the first of them, at most ``length``.
            tokens: Token ids.

        Raises:
            GrammarError: If the grammar refuses one of them, or following it takes more time or
                memory than it may.
        """
        matcher, new = self._matcher, tokens[len(self._output) - at :]
        if matcher is None:
            self._output[at:] = tokens
            matcher, new = self._fresh.deep_copy(), self._output
        if new:
            self._matcher = None  # until it is known to be where the output is
            self._output[at:] = tokens
            matcher.consume_tokens(list(new))
            self._check(matcher)
        self._matcher = matcher

    def masks(self, draft: Sequence[int] = ()) -> tuple[memoryview, int]:
        """Which tokens may follow the output, and each token of a draft after it.

        Returns:
            The masks, as ``Row.allowed`` wants them, and how many tokens of the draft the
            grammar allows; those behind it have no mask.

        Raises:
            GrammarError: As ``follow``.
        """
        self.follow(self.length, ())
        matcher = self._matcher
        self._matcher = None  # until it is back where it was
        n_valid = matcher.validate_tokens(list(draft)) if draft else 0
        masks = bytearray(self._bytes * (1 + n_valid))
        for place in range(1 + n_valid):
            if place:
                matcher.consume_token(draft[place - 1])
            self._fill(matcher, masks, place * self._bytes)
        if n_valid:
            matcher.rollback(n_valid)
        self._check(matcher)
        self._matcher = matcher
        return memoryview(masks), int(n_valid)

    def allows(self, token: int) -> bool:
        """Whether a token may follow the output.

        Raises:
            GrammarError: As ``follow``.
        """
        self.follow(self.length, ())
        # Behind an output that is complete llguidance finds no token valid, an end neither.
        if token in self._ends:
            found = self._matcher.is_accepting()
        else:
            found = self._matcher.validate_tokens([token])
        self._check(self._matcher)
        return bool(found)

    def forced(self) -> list[int]:
        """Tokens that come next whatever is chosen, since their text does.

        Without the last one: the model would write its text as one with what follows.

        Raises:
            GrammarError: As ``follow``.
        """
        self.follow(self.length, ())
        # Of a copy: asked for its bytes where a token is to come, a matcher refuses that token.
        text = self._matcher.deep_copy().compute_ff_bytes()
        tokens = self._tokenize(text)[:-1] if len(text) > 1 else []
        n_valid = self._matcher.validate_tokens(tokens) if tokens else 0
        self._check(self._matcher)
        return tokens[:n_valid]

    def _fill(self, matcher: Any, masks: bytearray, at: int) -> None:
        address = ctypes.addressof(ctypes.c_char.from_buffer(masks, at))
        matcher.unsafe_compute_mask_ptr(address, self._bytes)
        if not self._ban_eog:
            return
        kept = masks[at : at + self._bytes]
        for token in self._ends:
            kept[token >> 3] &= ~(1 << (token & 7))
        if any(kept):
            masks[at : at + self._bytes] = kept

    @staticmethod
    def _check(matcher: Any) -> None:
        if matcher.is_error():
            raise GrammarError(
                f"the output cannot be followed any further: {library.reason(matcher.get_error())}"
            )
