"""Vectors and rankings that are wrong."""

from __future__ import annotations

import attrs

from tests.unit.testing.broken.making import (
    breaks,
    wrap,
)


def _vectors(id: str, change) -> None:
    @breaks(id)
    def _(model):
        def embed(inner, *args, **keywords):
            made = inner(*args, **keywords)
            return attrs.evolve(made, vectors=change(made.vectors))

        wrap(model, "embed", embed)


_vectors("embed.alone", lambda vectors: vectors[::-1])


_vectors("embed.differ", lambda vectors: vectors[:1] * len(vectors))


_vectors("embed.length", lambda vectors: [[2 * each for each in vector] for vector in vectors])


_vectors("embed.nothing", lambda vectors: vectors or [[0.0]])


@breaks("rerank.order")
def _(model):
    wrap(model, "rerank", lambda inner, *a, sort=False, **k: inner(*a, **k))
