"""Vectors on their way between the processes: bytes instead of many numbers."""

from __future__ import annotations

from array import array
from typing import Any

from headrace.backend.abilities import Pooling
from headrace.results import Usage
from headrace.results.vectors import Embeddings, as_array, as_lists


def flattened(found: Embeddings) -> tuple[list[bytes], int, str, Usage]:
    """Vectors that were not normalized, as the bytes of each text."""
    tokens = found.pooling == Pooling.NONE.value
    flat = [
        array("d", [number for vector in each for number in vector] if tokens else each)
        for each in found.vectors
    ]
    return [each.tobytes() for each in flat], found.n_dimensions, found.pooling, found.usage


def shaped(told: tuple[Any, ...], *, normalize: bool, arrays: bool) -> Embeddings:
    """The vectors again, normalized and in the form that was asked for."""
    data, size, pooling, usage = told
    flat = [array("d", each) for each in data]
    tokens = pooling == Pooling.NONE.value
    if arrays:
        single = [array("f", each) for each in flat]
        vectors = as_array(single, size, normalize=normalize, tokens=tokens)
    else:
        vectors = as_lists(flat, size, normalize=normalize, tokens=tokens)
    return Embeddings(vectors, size, pooling, usage)
