"""``/v1/messages``: the interface of Anthropic's client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from headrace_server.endpoints.answering import Answering, described
from headrace_server.endpoints.dialects import Talk, counted, talk
from headrace_server.endpoints.messages import asking
from headrace_server.endpoints.messages.writing import Writing
from headrace_server.errors import ApiError
from headrace_server.http.events import event
from headrace_server.wire import messages as wire

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange
    from headrace_server.server import Server

_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


@described(wire.MessagesRequest, events=True)
async def create(exchange: Exchange) -> None:
    """``POST /v1/messages``."""
    exchange.names = asking.NAMES
    body = await exchange.body(wire.MessagesRequest)
    asked = asking.asked(body)
    async with talk(exchange, asked) as talking:
        message = wire.Message(model=talking.model)
        if body.stream:
            await exchange.stream(_events(talking, message, asked.sampling.stops))
            return
        writing = Writing(message, asked.sampling.stops, lambda event: None)
        async for chunk in talking:
            writing.add(chunk)
        writing.finish(talking.result, talking.reasoning_tokens)
    await exchange.respond(message, headers={"request-id": exchange.record.request_id})


@described(wire.Counted)
async def count(exchange: Exchange) -> None:
    """``POST /v1/messages/count_tokens``."""
    exchange.names = asking.NAMES
    asked = asking.asked(await exchange.body(wire.Counted))
    await exchange.respond({"input_tokens": await counted(exchange, asked)})


async def _events(
    talking: Talk, message: wire.Message, stops: tuple[str, ...]
) -> AsyncIterator[bytes]:
    """The events of an answer; none before the model has begun it."""
    written: list[bytes] = []

    def emit(each: wire.Event) -> None:
        written.append(event(each, str(each.__struct_config__.tag)))

    def drained() -> bytes:
        data = b"".join(written)
        written.clear()
        return data

    writing = Writing(message, stops, emit)
    chunk = await anext(talking, None)
    stream = talking.stream
    cached = min(stream.reused, stream.prompt_tokens or 0)
    message.usage = wire.Usage(
        input_tokens=(stream.prompt_tokens or 0) - cached, cache_read_input_tokens=cached
    )
    writing.begin()
    while chunk is not None:
        writing.add(chunk)
        yield drained()
        chunk = await anext(talking, None)
    writing.finish(talking.result, talking.reasoning_tokens)
    yield drained()


def told_as(error: ApiError) -> wire.ErrorBody:
    """An error in the shape of Anthropic's interface."""
    kind = _KINDS.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    return wire.ErrorBody(
        error=wire.ErrorDetail(type=kind, message=error.message, code=error.code, param=error.param)
    )


def event_of(error: ApiError) -> bytes:
    """The event of an error after the headers."""
    return event(told_as(error), "error")


def routes(server: Server) -> Iterator[Route]:
    """What is answered here."""

    def answering(endpoint: Any) -> Answering:
        return Answering(server, endpoint, tell=told_as, tell_event=event_of)

    for start in ("", "/v1"):
        path = f"{start}/messages"
        yield Route(path, answering(create), methods=["POST"])
        yield Route(f"{path}/count_tokens", answering(count), methods=["POST"])
