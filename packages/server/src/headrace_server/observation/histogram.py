"""``Histogram``: how many values fell between which bounds, cheap to add to and to add up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

SECONDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)
"""Upper bounds for times of a request, from a token to the longest answer."""


class Histogram:
    """Counts of values by their size.

    Args:
        bounds: Upper bounds, rising; what is larger is counted as well.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0
        """Sum of the values."""

    @property
    def number(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def add(self, value: float, times: int = 1) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def merge(self, other: Histogram) -> None:
        """Count what another one with the same bounds has counted."""
        for index, count in enumerate(other.counts):
            self.counts[index] += count
        self.total += other.total

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper bounds as text, with how many values were at most as large."""
        found, number = [], 0
        for bound, count in zip((*self.bounds, None), self.counts, strict=True):
            number += count
            found.append(("+Inf" if bound is None else repr(bound), float(number)))
        return found
