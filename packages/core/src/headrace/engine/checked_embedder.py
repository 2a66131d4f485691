"""An embedder, with a look at every vector it gives."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from headrace.backend.abilities import Embedder, EmbedderInfo, Pooling
from headrace.common.seam import Seam
from headrace.engine.checked import PATIENCE
from headrace.errors import DecodeError, HeadraceError

_COUNTS = ("n_dimensions", "n_batch", "n_text", "n_texts")


class CheckedEmbedder:
    """An ``Embedder`` that gives what the protocol says, or raises a typed error.

    Args:
        embedder: What the backend opened.
        seam: Names the backend.

    Raises:
        BackendProtocolError: If what it says of itself makes no sense.
    """

    def __init__(self, embedder: Embedder, seam: Seam) -> None:
        with seam.during("open_embedder"):
            info = embedder.info
        if not isinstance(info, EmbedderInfo):
            raise seam.breach("open_embedder", f"its info is {info!r:.60}")
        seam.check_numbers("open_embedder", info, _COUNTS, 1)
        self.info = info
        self.raw = embedder
        self._seam = seam

    def embed(self, call_id: int, texts: Sequence[Sequence[int]]) -> list[array[float]] | None:
        """See ``Embedder.embed``."""
        try:
            vectors = self.raw.embed(call_id, texts)
        except BaseException as error:
            self._seam.raise_for("embed", error, DecodeError)
        if vectors is not None:
            self._check(vectors, texts)
        return vectors

    def _check(self, vectors: object, texts: Sequence[Sequence[int]]) -> None:
        if not isinstance(vectors, list) or len(vectors) != len(texts):
            raise self._seam.breach("embed", f"{vectors!r:.60} for {len(texts)} texts")
        size = self.info.n_dimensions
        for numbers, text in zip(vectors, texts, strict=True):
            wanted = size * (len(text) if self.info.pooling is Pooling.NONE else 1)
            if len(numbers) != wanted:
                raise self._seam.breach("embed", f"{len(numbers)} numbers instead of {wanted}")

    def interrupt(self, call_id: int) -> None:
        """See ``Embedder.interrupt``. Takes no lock."""
        with self._seam.during("interrupt"):
            self.raw.interrupt(call_id)

    def close(self) -> None:
        """Free the context."""
        with self._seam.during("close"):
            self.raw.close()

    def stuck(self) -> HeadraceError:
        """The error for a call that is made again and again without getting anywhere."""
        return self._seam.breach("embed", f"{PATIENCE} calls in a row ended early, asked by nobody")
