"""Embeddings and rankings."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headrace.results import Capability
from headrace.results.vectors import Embeddings
from headrace.testing.kit import Kit, expect, expect_equal
from headrace.testing.rules import rule

EMBED = (Capability.EMBED,)
RERANK = (Capability.RERANK,)
TEXTS = ["the cat sat on the mat", "a", "words and more words, and then some", "the cat"]


def _embed(kit: Kit, texts: str | list[str], normalize: bool = True) -> Embeddings:
    return kit.model.embed(texts, pooling=kit.subject.pooling, normalize=normalize)


def _expect_near(found: Sequence[float], wanted: Sequence[float], what: str) -> None:
    # Batches of other sizes are computed with other kernels.
    expect_equal(len(found), len(wanted), f"dimensions of {what}")
    worst = max(abs(one - other) for one, other in zip(found, wanted, strict=True))
    expect(worst <= 5e-3, f"{what}: differs by {worst:.3g}")


@rule("embed.alone", needs=EMBED)
def alone(kit: Kit) -> None:
    """Texts together have the vectors that each has alone, in order."""
    together = _embed(kit, TEXTS)
    expect_equal(len(together), len(TEXTS), "vectors")
    for text, vector in zip(TEXTS, together, strict=True):
        expect_equal(len(vector), together.n_dimensions, "dimensions")
        _expect_near(vector, _embed(kit, text)[0], f"the vector of {text!r}")


@rule("embed.differ", needs=EMBED)
def differ(kit: Kit) -> None:
    """Other texts have other vectors."""
    vectors = {tuple(round(each, 4) for each in vector) for vector in _embed(kit, TEXTS)}
    expect_equal(len(vectors), len(TEXTS), "different vectors")


@rule("embed.length", needs=EMBED)
def length(kit: Kit) -> None:
    """A vector has length one unless it is wanted as it is."""
    unit, plain = _embed(kit, TEXTS[0])[0], _embed(kit, TEXTS[0], normalize=False)[0]
    expect(abs(math.hypot(*unit) - 1) < 1e-3, f"its length is {math.hypot(*unit)}")
    size = math.hypot(*plain)
    _expect_near(unit, [each / size for each in plain], "the same, normalized")


@rule("embed.nothing", needs=EMBED)
def nothing(kit: Kit) -> None:
    """No texts have no vectors."""
    expect_equal(list(_embed(kit, [])), [], "vectors of no texts")


@rule("rerank.order", needs=RERANK)
def rerank_order(kit: Kit) -> None:
    """Scores are in the order of the documents, or best first."""
    plain = kit.model.rerank("a cat", TEXTS)
    expect_equal([each.index for each in plain], list(range(len(TEXTS))), "indexes")
    ranked = kit.model.rerank("a cat", TEXTS, sort=True)
    scores = [each.score for each in ranked]
    expect(scores == sorted(scores, reverse=True), f"not best first: {scores}")
    expect_equal(sorted(each.index for each in ranked), list(range(len(TEXTS))), "indexes")
