"""What a grammar is made of: the tree that parsers make, checks read and the writer writes.

Nodes are compared by identity, so that they can be kept in sets at no cost. ``at`` is the
place in the text that a node came from, for errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

LAST_CHARACTER = 0x10FFFF


@attrs.frozen
class Tokens:
    """What a vocabulary knows of its tokens."""

    n_tokens: int
    """Ids are 0 … n_tokens−1."""
    id_of: Callable[[str], int | None]
    """The id of the token that a text in angle brackets names; None: there is no such."""
    text_of: Callable[[int], str | None]
    """What a token stands for in a grammar's texts; None: nothing, or no whole characters."""
    ends: Sequence[int]
    """Those that end a generation."""
    unsaid: Callable[[], Sequence[int]]
    """Those that no text stands for: the ends, and control tokens unless they are spoken."""


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


@attrs.frozen(eq=False)
class Whole:
    """What can be read as one piece, since no text can be read past its end.

    No grammar of a caller's has it: whoever makes it knows why it is so.
    """

    item: Node
    at: int = 0


@attrs.frozen(eq=False)
class First:
    """A text up to the first place where it is one of those.

    No grammar of a caller's has it.
    """

    item: Node
    at: int = 0


@attrs.frozen(eq=False)
class Opaque:
    """What no node can say: a part in llguidance's notation.

    No grammar of a caller's has it.
    """

    written: Callable[[Tokens | None], str]
    """Writes it for a vocabulary."""
    at: int = 0


Node = Text | CharSet | TokenRef | Ref | Chain | Either | Repeat | Whole | First | Opaque
Rules = Mapping[str, Node]


def children(node: Node) -> tuple[Node, ...]:
    """The nodes that a node is made of."""
    if isinstance(node, Chain):
        return node.items
    if isinstance(node, Either):
        return node.options
    return (node.item,) if isinstance(node, (Repeat, Whole, First)) else ()
