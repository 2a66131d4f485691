"""A hash over a sequence of tokens that grows by one token in constant time.

The fake draws its tokens from this hash of everything in memory, so that a
token missing, doubled, out of place or left over anywhere changes what is
written. Plain arithmetic, so that every Python gives the same text.
"""

from __future__ import annotations

from collections.abc import Iterable

_MASK = 2**64 - 1

EMPTY = 0xCBF29CE484222325
"""The hash of no tokens (FNV-1a's offset basis)."""


def link(hash_: int, token: int) -> int:
    """The hash after one more token (a step of FNV-1a, with the token for a byte)."""
    return ((hash_ ^ token) * 0x100000001B3) & _MASK


def links(hash_: int, tokens: Iterable[int]) -> list[int]:
    """The hash after each of the tokens."""
    found = []
    for token in tokens:
        hash_ = ((hash_ ^ token) * 0x100000001B3) & _MASK
        found.append(hash_)
    return found


def scatter(hash_: int, salt: int) -> int:
    """64 even bits that depend on every bit of both (the end of SplitMix64)."""
    mixed = (hash_ + salt * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)
