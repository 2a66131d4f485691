"""``Matcher``: one output on its way through a grammar."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from headrace.errors import GrammarError
from headrace.grammar import library


def words(n_tokens: int) -> int:
    """Words of 32 bits that a mask of so many tokens has."""
    return -(-n_tokens // 32)


class Matcher:
    """What may follow the tokens of one output.

    For one thread at a time. A call may be interrupted between any two bytecodes: then how much
    was consumed is not known, and the next call begins at the beginning again.

    Args:
        fresh: An ``llguidance.LLMatcher`` at its beginning; copied, never changed.
        n_tokens: Tokens of the vocabulary.
        eog: Those that end a generation.
        ban_eog: Allow them only where nothing else is allowed.
    """

    def __init__(self, fresh: Any, n_tokens: int, eog: Sequence[int], *, ban_eog: bool) -> None:
        self._fresh = fresh
        self._bytes = 4 * words(n_tokens)
        self._ends = tuple(eog)
        self._ban_eog = ban_eog
        self._matcher: Any = None
        """Where ``_consumed`` has led to; None: not known."""
        self._consumed: list[int] = []

    def masks(self, output: Sequence[int], draft: Sequence[int] = ()) -> memoryview:
        """Which tokens may follow an output, and each token of a draft after it.

        Args:
            output: All tokens since the grammar began.
            draft: Tokens that may follow. Behind the first that the grammar refuses, masks are
                empty.

        Returns:
            As ``Row.allowed`` wants it.

        Raises:
            GrammarError: If the output is none that the grammar allows, or following it takes
                more time or memory than it may.
        """
        matcher = self._follow(output)
        masks = bytearray(self._bytes * (1 + len(draft)))
        self._matcher = None  # until it is back where it was
        n_valid = matcher.validate_tokens(list(draft)) if draft else 0
        for place in range(1 + n_valid):
            if place:
                matcher.consume_token(draft[place - 1])
            self._fill(matcher, masks, place * self._bytes)
        if n_valid:
            matcher.rollback(n_valid)
        self._check(matcher)
        self._matcher = matcher
        return memoryview(masks)

    def n_allowed(self, output: Sequence[int], tokens: Sequence[int]) -> int:
        """How many of some tokens may follow an output, one after the other."""
        matcher = self._follow(output)
        found = matcher.validate_tokens(list(tokens))
        self._check(matcher)
        return int(found)

    def _follow(self, output: Sequence[int]) -> Any:
        """The matcher, behind that output."""
        matcher, known = self._matcher, self._consumed
        if matcher is None or list(output[: len(known)]) != known:
            matcher, known = self._fresh.deep_copy(), []
        new = list(output[len(known) :])
        self._matcher = None
        if new:
            matcher.consume_tokens(new)
            self._check(matcher)
        self._consumed = known + new
        self._matcher = matcher
        return matcher

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
