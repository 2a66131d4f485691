"""What a pattern is made of."""

from __future__ import annotations

import attrs

from headrace.grammar.sets import Ranges


@attrs.frozen
class Chars:
    """One character out of a set."""

    ranges: Ranges
    properties: tuple[str, ...] = ()
    """Unicode properties beside the ranges, such as ``\\p{L}``."""
    negated: bool = False
    """Whether it is one that is in neither; only where there are properties."""


@attrs.frozen
class Sequence:
    """Parts that follow each other."""

    items: tuple[Tree, ...]


@attrs.frozen
class Options:
    """One of several."""

    items: tuple[Tree, ...]


@attrs.frozen
class Repeated:
    """A part several times in a row."""

    item: Tree
    low: int
    high: int | None


@attrs.frozen
class Edge:
    """The beginning of the text, or its end."""

    is_end: bool
    at: int
    """Index in the pattern."""


@attrs.frozen
class Ahead:
    """What follows has to begin with that, or must not."""

    item: Tree
    at: int
    """Index in the pattern."""
    is_negative: bool = False


Tree = Chars | Sequence | Options | Repeated | Edge | Ahead
EMPTY = Sequence(())
"""What the empty text matches."""
