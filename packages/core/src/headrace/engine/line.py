"""Token ids in order, of which those at the beginning may have been forgotten."""

from __future__ import annotations

from collections.abc import Iterable


class Line(list[int]):
    """Token ids of which some at the beginning may have been forgotten.

    One object, so that forgetting is a single assignment: an interrupt between
    two bytecodes sees the tokens and the count of those that are gone in step.
    """

    __slots__ = ("dropped",)

    def __init__(self, tokens: Iterable[int] = (), dropped: int = 0) -> None:
        super().__init__(tokens)
        self.dropped = dropped
        """Tokens forgotten so far; added to an index it gives one that never changes."""


def common_prefix(left: list[int], right: list[int]) -> int:
    """Length of the beginning two lists share, compared in slices to stay in C."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low
