"""Interleaved rounds: what is compared is measured by turns, so that a machine's moods hit all."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True)
class Spread:
    """What a list of samples comes to.

    Attributes:
        median: The middle one.
        least: The smallest: for times, the one that the machine disturbed least.
        low: The quarter of the samples are below it.
        high: The quarter of the samples are above it.
        count: How many there are.
    """

    median: float
    least: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Of samples, at least one."""
        ordered = sorted(samples)
        quarter = len(ordered) // 4
        return cls(
            statistics.median(ordered),
            ordered[0],
            ordered[quarter],
            ordered[-1 - quarter],
            len(ordered),
        )


def interleaved(
    candidates: Mapping[str, Callable[[], _T]], rounds: int, label: str = "", first: int = 0
) -> dict[str, list[_T]]:
    """Measure each candidate once a round; each round begins with another one.

    Args:
        candidates: What measures once, by name.
        rounds: How often.
        label: What stands before the progress on stderr.
        first: Who begins the first round, by number.

    Returns:
        What was measured, by name.
    """
    names = list(candidates)
    found: dict[str, list[_T]] = {name: [] for name in names}
    for number in range(rounds):
        turn = (first + number) % len(names)
        for name in names[turn:] + names[:turn]:
            progress(f"{label} round {number + 1} of {rounds}: {name}")
            found[name].append(candidates[name]())
    progress("")
    return found


def progress(text: str) -> None:
    """Show on a terminal what is going on; nothing where nobody looks."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
