"""The tiny models of ``headrace.testing``, and two encoders beside them."""

from __future__ import annotations

import functools
from pathlib import Path

import gguf

from headrace.testing import tiny_gguf
from headrace.testing.tiny_gguf import (
    BOS,
    EOS,
    FIM,
    N_CTX_TRAIN,
    N_EMBD,
    N_FF,
    N_LAYER,
    N_VOCAB,
    WINDOW,
    architecture,
    changed,
    new_file,
)
from tests.support import bert

__all__ = [
    "BOS",
    "EOS",
    "FIM",
    "N_CTX_TRAIN",
    "N_EMBD",
    "N_FF",
    "N_LAYER",
    "N_VOCAB",
    "WINDOW",
    "architecture",
    "changed",
    "new_file",
    "path",
]

BERTS = {"bert": gguf.PoolingType.MEAN, "reranker": gguf.PoolingType.RANK}
"""Kinds that are written by ``tests.support.bert``, with their pooling."""


def path(kind: str) -> Path:
    """The file of a model: a kind of ``headrace.testing.tiny_gguf``, ``bert`` or ``reranker``."""
    return _bert(kind) if kind in BERTS else tiny_gguf.path(kind)


@functools.cache
def _bert(kind: str) -> Path:
    return bert.tiny(BERTS[kind]).write(new_file(f"{kind}.gguf"))
