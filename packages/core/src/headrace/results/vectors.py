"""What ``embed`` and ``rerank`` give back: frozen values, and the way to numpy."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, overload

import attrs

from headrace.errors import UnsupportedError
from headrace.results import Usage


@attrs.frozen(eq=False)
class Embeddings(Sequence[Any]):
    """Vectors in the order of the texts; loops and indexes like the list of them."""

    vectors: Any
    """One list of floats for each text; with pooling ``none`` a list of such lists, one for each
    token. With ``as_array`` a float32 array of shape (texts, dimensions); with pooling ``none``
    a list of arrays of shape (tokens, dimensions)."""
    n_dimensions: int
    """Numbers of one vector."""
    pooling: str
    """The pooling that was used: ``mean``, ``cls``, ``last`` or ``none``."""
    usage: Usage
    """Tokens computed, special tokens included."""

    def __len__(self) -> int:
        return len(self.vectors)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> Any: ...

    def __getitem__(self, index: int | slice) -> Any:
        return self.vectors[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.vectors)


@attrs.frozen
class RankedDocument:
    """How well one document answers the query."""

    index: int
    """Where the document stood among those given."""
    score: float
    """The model's number: higher is better; only scores of the same query can be compared."""


@attrs.frozen
class Ranking(Sequence[RankedDocument]):
    """Scores of documents; loops and indexes like the tuple of them."""

    documents: tuple[RankedDocument, ...]
    """In the order of the documents, or best first if that was asked for."""
    usage: Usage
    """Tokens computed: of all pairs of query and document, special tokens included."""

    def __len__(self) -> int:
        return len(self.documents)

    @overload
    def __getitem__(self, index: int) -> RankedDocument: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[RankedDocument, ...]: ...

    def __getitem__(self, index: int | slice) -> RankedDocument | tuple[RankedDocument, ...]:
        return self.documents[index]


def check_numpy() -> None:
    """Raise unless numpy can be imported.

    Raises:
        UnsupportedError: With the command that installs it.
    """
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        raise UnsupportedError(
            f"as_array=True needs numpy, which cannot be imported: {error}",
            hint="Install it with: pip install 'headrace[numpy]'.",
        ) from error


def as_lists(
    flat: Sequence[array[float]], size: int, *, normalize: bool, tokens: bool
) -> list[Any]:
    """Lists of floats from what a backend computed.

    Args:
        flat: For each text its numbers.
        size: Numbers of one vector.
        normalize: Divide each vector by its length.
        tokens: The numbers are of one vector for each token.
    """
    scale = _unit if normalize else list
    if not tokens:
        return [scale(numbers) for numbers in flat]
    return [
        [scale(numbers[at : at + size]) for at in range(0, len(numbers), size)] for numbers in flat
    ]


def _unit(vector: Sequence[float]) -> list[float]:
    """The vector with a length of 1, as llama.cpp's ``embd_normalize``; zeros stay zeros."""
    length = math.hypot(*vector) or 1.0
    return [number / length for number in vector]


def as_array(flat: Sequence[array[float]], size: int, *, normalize: bool, tokens: bool) -> Any:
    """The same as float32 arrays: one of shape (texts, size), or with ``tokens`` a list of them."""
    import numpy as np

    arrays = [np.frombuffer(numbers, dtype=np.float32).reshape(-1, size) for numbers in flat]
    if not tokens:
        arrays = [np.concatenate(arrays) if arrays else np.empty((0, size), dtype=np.float32)]
    if normalize:
        arrays = [_units(vectors) for vectors in arrays]
    return arrays if tokens else arrays[0]


def _units(vectors: Any) -> Any:
    import numpy as np

    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    lengths[lengths == 0] = 1.0
    return (vectors / lengths).astype(np.float32)
