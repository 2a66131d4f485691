"""Masks as ``Row.allowed`` has them."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.tiny_gguf import N_VOCAB


def mask(*places: Iterable[int], n_vocab: int = N_VOCAB) -> memoryview:
    """A mask of the tokens that are allowed at each of some places."""
    each = 4 * -(-n_vocab // 32)
    bits = bytearray(each * len(places))
    for place, tokens in enumerate(places):
        for token in tokens:
            bits[place * each + token // 8] |= 1 << token % 8
    return memoryview(bits)
