"""``POST /v1/embeddings`` and ``/v1/rerank``: vectors and scores."""

from __future__ import annotations

import base64
import struct
import sys
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from starlette.routing import Route

from headrace_server.endpoints.answering import Answering, described
from headrace_server.endpoints.fields import refusal, wrong
from headrace_server.errors import too_late
from headrace_server.wire import vectors as wire

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange
    from headrace_server.models.served import Served
    from headrace_server.server import Server

_T = TypeVar("_T")
_MOST_TEXTS = 2048


def routes(server: Server) -> Iterator[Route]:
    """What is answered here."""
    yield Route("/v1/embeddings", Answering(server, embeddings), methods=["POST"])
    for path in ("/v1/rerank", "/rerank", "/v1/reranking", "/reranking"):
        yield Route(path, Answering(server, rerank), methods=["POST"])


@described(wire.EmbeddingRequest, wire.EmbeddingList)
async def embeddings(exchange: Exchange) -> None:
    """Vectors for texts."""
    request = await exchange.body(wire.EmbeddingRequest)
    exchange.names = {"texts": "input"}
    if request.encoding_format not in (None, "float", "base64"):
        raise wrong(
            "encoding_format", f"must be 'float' or 'base64', got {request.encoding_format!r:.60}"
        )
    texts = _texts(request.input)
    async with _at_work(exchange, request.model) as served:
        found = await _in_time(exchange, lambda: served.model.aembed(texts))
        if request.dimensions not in (None, found.n_dimensions):
            raise refusal(
                "dimensions",
                f"vectors of this model have {found.n_dimensions} and cannot be cut, got "
                f"{request.dimensions}; leave it out",
            )
        encode = _base64 if request.encoding_format == "base64" else list
        tokens = found.usage.prompt_tokens
        exchange.record.count(prompt=tokens, cached=0, completion=0)
        data = [wire.Embedding(at, encode(vector)) for at, vector in enumerate(found.vectors)]
        answer = wire.EmbeddingList(data, served.name, wire.TokenCount(tokens, tokens))
    await exchange.respond(answer)


@described(wire.RerankRequest, wire.Ranking)
async def rerank(exchange: Exchange) -> None:
    """How well documents answer a query, best first."""
    request = await exchange.body(wire.RerankRequest)
    if not 1 <= len(request.documents) <= _MOST_TEXTS:
        raise wrong("documents", f"must be 1 to {_MOST_TEXTS} texts, got {len(request.documents)}")
    if request.top_n is not None and request.top_n < 1:
        raise wrong("top_n", f"must be a whole number ≥ 1, got {request.top_n}")
    texts = [each if isinstance(each, str) else each.text for each in request.documents]
    async with _at_work(exchange, request.model) as served:
        ranking = await _in_time(
            exchange, lambda: served.model.arerank(request.query, texts, sort=True)
        )
        tokens = ranking.usage.prompt_tokens
        exchange.record.count(prompt=tokens, cached=0, completion=0)
        results = [
            wire.Ranked(
                each.index,
                each.score,
                wire.Document(texts[each.index]) if request.return_documents else None,
            )
            for each in ranking.documents[: request.top_n]
        ]
        answer = wire.Ranking(served.name, results, wire.TokenCount(tokens, tokens))
    await exchange.respond(answer)


@asynccontextmanager
async def _at_work(exchange: Exchange, model: str | None) -> AsyncIterator[Served]:
    """A model, and a place among those that compute on it."""
    async with (
        exchange.server.registry.use(model, exchange) as served,
        served.admission.seat(exchange),
    ):
        yield served


async def _in_time(exchange: Exchange, compute: Callable[[], Awaitable[_T]]) -> _T:
    """What is computed, unless the request's time runs out before."""
    with anyio.move_on_after(exchange.time_left):
        return await compute()
    raise too_late()


def _texts(given: str | list[str | int | list[int]]) -> Any:
    """Texts or token ids, as ``model.embed`` takes them."""
    if isinstance(given, str):
        return [given]
    if given and all(isinstance(each, int) for each in given):
        return [given]
    if not 1 <= len(given) <= _MOST_TEXTS:
        raise wrong("input", f"must be 1 to {_MOST_TEXTS} texts, got {len(given)}")
    for index, each in enumerate(given):
        if isinstance(each, int):
            raise wrong(
                f"input[{index}]", "is a token id beside texts or lists; put ids into a list"
            )
    return given


def _base64(vector: Sequence[float]) -> str:
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    assert numbers.itemsize == struct.calcsize("<f")
    return base64.b64encode(numbers.tobytes()).decode()
