"""Arithmetic of sets of characters, as sorted ranges of code points."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.grammar.nodes import LAST_CHARACTER, CharSet, Node, Text

Ranges = tuple[tuple[int, int], ...]

DIGITS: Ranges = ((0x30, 0x39),)
WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACES: Ranges = ((0x09, 0x0D), (0x20, 0x20))
_NEVER_WRITTEN: Ranges = ((0, 0), (0xD800, 0xDFFF))
"""A NUL ends a piece in llama.cpp, and a surrogate is no character."""


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The ranges sorted, with none touching the next."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def without(ranges: Ranges) -> Ranges:
    """All characters but these."""
    found = []
    start = 0
    for low, high in union(ranges):
        if start < low:
            found.append((start, low - 1))
        start = high + 1
    if start <= LAST_CHARACTER:
        found.append((start, LAST_CHARACTER))
    return tuple(found)


def writable(ranges: Ranges) -> Ranges:
    """Those of the characters that can be part of a text."""
    return without(union((*without(ranges), *_NEVER_WRITTEN)))


def first_ranges(node: Node) -> Ranges:
    """What a text or a set of characters can begin with; nothing for other nodes."""
    if isinstance(node, Text):
        code = ord(node.characters[0])
        return ((code, code),)
    if isinstance(node, CharSet):
        return without(node.ranges) if node.negated else union(node.ranges)
    return ()
