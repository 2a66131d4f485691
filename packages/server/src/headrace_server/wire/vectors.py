"""Embeddings and reranking: https://platform.openai.com/docs/api-reference/embeddings."""

from __future__ import annotations

import msgspec


class EmbeddingRequest(msgspec.Struct, kw_only=True):
    """``POST /v1/embeddings``."""

    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: str | None = None
    dimensions: int | None = None


class Embedding(msgspec.Struct):
    """One vector: numbers, or little-endian float32 in base64."""

    index: int
    embedding: list[float] | str
    object: str = "embedding"


class TokenCount(msgspec.Struct):
    """Tokens computed."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct):
    """All vectors, in the order of the texts."""

    data: list[Embedding]
    model: str
    usage: TokenCount
    object: str = "list"


class Document(msgspec.Struct):
    """A text, as some clients write it."""

    text: str


class RerankRequest(msgspec.Struct, kw_only=True):
    """``POST /v1/rerank``."""

    query: str
    documents: list[str | Document]
    model: str | None = None
    top_n: int | None = None
    return_documents: bool | None = None


class Ranked(msgspec.Struct, omit_defaults=True):
    """How well one document answers."""

    index: int
    relevance_score: float
    document: Document | None = None


class Ranking(msgspec.Struct):
    """The documents, best first."""

    model: str
    results: list[Ranked]
    usage: TokenCount
    object: str = "list"
