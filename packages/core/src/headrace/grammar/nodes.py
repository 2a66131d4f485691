"""What a grammar is made of: the tree that parsers make, checks read and the writer writes.

Nodes are compared by identity, so that they can be kept in sets at no cost. ``at`` is the
place in the text that a node came from, for errors.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

LAST_CHARACTER = 0x10FFFF


@attrs.frozen(eq=False)
class Text:
    """Characters one after the other."""

    characters: str
    at: int = 0


@attrs.frozen(eq=False)
class CharSet:
    """One character of some ranges, or of none of them; no ranges, negated: any character."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False
    at: int = 0

    def __contains__(self, code: int) -> bool:
        return any(low <= code <= high for low, high in self.ranges) is not self.negated


@attrs.frozen(eq=False)
class TokenRef:
    """A token by its id or by its text in angle brackets, or any other token."""

    token: int | str
    negated: bool = False
    at: int = 0


@attrs.frozen(eq=False)
class Ref:
    """What another rule says."""

    name: str
    at: int = 0


@attrs.frozen(eq=False)
class Chain:
    """One after the other; empty: nothing."""

    items: tuple[Node, ...]
    at: int = 0


@attrs.frozen(eq=False)
class Either:
    """One of several."""

    options: tuple[Node, ...]
    at: int = 0


@attrs.frozen(eq=False)
class Repeat:
    """The same several times; ``high`` None: without an end."""

    item: Node
    low: int
    high: int | None
    at: int = 0


Node = Text | CharSet | TokenRef | Ref | Chain | Either | Repeat
Rules = Mapping[str, Node]


def children(node: Node) -> tuple[Node, ...]:
    """The nodes that a node is made of."""
    if isinstance(node, Chain):
        return node.items
    if isinstance(node, Either):
        return node.options
    return (node.item,) if isinstance(node, Repeat) else ()
