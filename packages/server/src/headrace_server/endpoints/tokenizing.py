"""``POST /tokenize`` and ``/detokenize``, for llama-server's clients and for vLLM's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.routing import Route

from headrace_server.endpoints.answering import Answering, described
from headrace_server.errors import ApiError
from headrace_server.wire import tokens as wire

if TYPE_CHECKING:
    from headrace_server.generation.pieces import Pieces
    from headrace_server.http.exchange import Exchange
    from headrace_server.server import Server


def routes(server: Server) -> Iterator[Route]:
    """What is answered here."""
    yield Route("/tokenize", Answering(server, tokenize), methods=["POST"])
    yield Route("/detokenize", Answering(server, detokenize), methods=["POST"])


@described(wire.TokenizeRequest, wire.Tokens)
async def tokenize(exchange: Exchange) -> None:
    """The tokens of a text.

    ``prompt`` gets the special tokens around it unless ``add_special_tokens`` is false, and
    ``content`` none unless ``add_special`` is true: each as where its name comes from.
    """
    request = await exchange.body(wire.TokenizeRequest)
    if (request.prompt is None) == (request.content is None):
        raise ApiError(
            400,
            "invalid_value",
            "content: one of content and prompt must be given, and not both",
            param="content",
        )
    text, special = request.content, bool(request.add_special)
    if text is None:
        text = request.prompt or ""
        special = request.add_special_tokens is not False
    exchange.names = {"text": "content" if request.prompt is None else "prompt"}
    parse = request.parse_special is not False
    async with exchange.server.registry.use(request.model, exchange) as served:
        found = await served.model.atokenize(text, add_special=special, parse_special=parse)
        shown: list[int | wire.Piece] = list(found)
        if request.with_pieces:
            await served.pieces.look_up(found)
            shown = [_piece(token, served.pieces) for token in found]
        answer = wire.Tokens(shown, len(found), served.model.info.n_ctx_train)
    await exchange.respond(answer)


def _piece(token: int, pieces: Pieces) -> wire.Piece:
    data = pieces[token]
    try:
        return wire.Piece(token, data.decode())
    except UnicodeDecodeError:
        return wire.Piece(token, list(data))


@described(wire.DetokenizeRequest, wire.Text)
async def detokenize(exchange: Exchange) -> None:
    """The text of tokens."""
    request = await exchange.body(wire.DetokenizeRequest)
    async with exchange.server.registry.use(request.model, exchange) as served:
        text = await served.model.adetokenize(request.tokens, special=True)
    decoded = text.decode(errors="replace")
    await exchange.respond(wire.Text(decoded, decoded))
