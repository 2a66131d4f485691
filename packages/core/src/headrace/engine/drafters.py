"""Drafters: what proposes the tokens that may follow a line.

A drafter belongs to one sequence of the engine and is used by whoever has the
role of driver, outside the engine's mutex. Whatever it proposes, no token is
changed by it, so a drafter may be interrupted anywhere and may propose anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from headrace.engine.line import common_prefix
from headrace.params.speculation import PromptLookup


class Drafter(Protocol):
    """Proposes tokens for one sequence."""

    def propose(
        self,
        line: list[int],
        limit: int,
        over: Callable[[], bool],
        deadline: float | None,
    ) -> Sequence[int]:
        """Tokens that may follow.

        Args:
            line: All tokens so far.
            limit: Most tokens wanted.
            over: Tells when nobody wants them any more.
            deadline: When to give up, on the monotonic clock; None: never.
        """
        ...

    def interrupt(self) -> None:
        """Have a running ``propose`` look at ``over`` soon. From any thread; takes no lock."""
        ...

    def close(self) -> None:
        """Free what it holds. Closing again does nothing."""
        ...


_LONGEST_RUN = 32
_MOST, _LEAST = 16, 2
_FEW = 3
"""Tokens that are looked up where a wrong guess costs nothing."""


def _lengths(params: PromptLookup, *, free: bool) -> range:
    """How many tokens have to be in common, the most first.

    What follows two or three is often something else, and a wrong draft costs up to five steps.
    """
    most, least = params.ngram, params.min_ngram
    if most is None and least is None:
        most, least = (_FEW, _LEAST) if free else (_MOST, _MOST)
    most = _MOST if most is None else most
    return range(most, (min(_LEAST, most) if least is None else least) - 1, -1)


class LookupDrafter:
    """Finds where the line's last tokens came up before.

    For each length an index says where a run of so many tokens ended last. It grows with the
    line; where the line was cut it is made anew.

    Args:
        params: What the session asked for.
        free: Whether a wrong guess costs nothing, so that few tokens in common are enough unless
            the params say otherwise.
    """

    def __init__(self, params: PromptLookup, *, free: bool = False) -> None:
        self._lengths = _lengths(params, free=free)
        self._known: list[int] = []
        self._ends: dict[tuple[int, ...], int] = {}
        self._line: list[int] = []
        self._end = 0

    def propose(
        self,
        line: list[int],
        limit: int,
        over: Callable[[], bool],
        deadline: float | None,
    ) -> Sequence[int]:
        """What followed the last time."""
        self._index(line)
        for length in self._lengths:
            end = self._ends.get(tuple(line[-length:])) if len(line) > length else None
            if end is not None:
                self._line, self._end = line, end
                # What it repeats may itself be only a few tokens long: then it goes round.
                followed = line[end:]
                return [followed[i % len(followed)] for i in range(limit)]
        return ()

    @property
    def run(self) -> int:
        """How many tokens the line's end has in common with what came before what was proposed."""
        line, end = self._line, self._end
        most = min(end, _LONGEST_RUN)
        return next((i for i in range(most) if line[end - 1 - i] != line[-1 - i]), most)

    def _index(self, line: list[int]) -> None:
        """Note all runs that end before the line's last token."""
        known, ends = self._known, self._ends
        # Nothing is known until all is: an interrupted index may name ends the next line lacks.
        self._known, self._ends = [], {}
        if len(known) >= len(line) or common_prefix(known, line) < len(known):
            known, ends = [], {}  # one that ends at the line's own end would be followed by nothing
        for end in range(len(known) + 1, len(line)):
            for length in self._lengths:
                if end >= length:
                    ends[tuple(line[end - length : end])] = end
        known = line[:-1]
        self._known, self._ends = known, ends

    def interrupt(self) -> None:
        """It is never long at work."""

    def close(self) -> None:
        """It holds nothing."""
