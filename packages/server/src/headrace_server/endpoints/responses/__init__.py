"""``/v1/responses``: OpenAI's newer interface, which answers with items instead of messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from headrace_server.endpoints.answering import Answering, described
from headrace_server.endpoints.dialects import Talk, counted, talk
from headrace_server.endpoints.responses import asking
from headrace_server.endpoints.responses.store import Store
from headrace_server.endpoints.responses.writing import Writing
from headrace_server.http.events import event
from headrace_server.wire.response_events import Event
from headrace_server.wire.responses import Counted, Response, ResponsesRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headrace import ChatMessage
    from headrace_server.errors import ApiError
    from headrace_server.http.exchange import Exchange
    from headrace_server.server import Server


class Responses:
    """The endpoints of one server, and the responses that it keeps."""

    def __init__(self) -> None:
        self.store = Store()

    @described(ResponsesRequest, events=True)
    async def create(self, exchange: Exchange) -> None:
        """``POST /v1/responses``."""
        exchange.names = asking.NAMES
        body = await exchange.body(ResponsesRequest)
        said = asking.conversation(body, self._earlier(exchange, body))
        async with talk(exchange, asking.asked(body, said)) as talking:
            response = _begun(body, talking)
            if body.stream:
                await exchange.stream(self._events(exchange, said, talking, response))
                return
            writing = Writing(response, lambda event: None)
            async for chunk in talking:
                writing.add(chunk, talking.logprobs)
            self._finish(exchange, said, talking, writing)
        await exchange.respond(response)

    @described(Counted)
    async def count(self, exchange: Exchange) -> None:
        """``POST /v1/responses/input_tokens``."""
        exchange.names = asking.NAMES
        body = await exchange.body(Counted)
        said = asking.conversation(body, self._earlier(exchange, body))
        tokens = await counted(exchange, asking.asked(body, said))
        await exchange.respond({"object": "response.input_tokens", "input_tokens": tokens})

    async def retrieve(self, exchange: Exchange) -> None:
        """``GET /v1/responses/{response_id}``."""
        name = exchange.path["response_id"]
        stored = self.store.find(_owner(exchange), name, "response_id", 404)
        await exchange.respond(stored.response)

    async def delete(self, exchange: Exchange) -> None:
        """``DELETE /v1/responses/{response_id}``."""
        name = exchange.path["response_id"]
        self.store.forget(_owner(exchange), name)
        await exchange.respond({"id": name, "object": "response", "deleted": True})

    def _earlier(self, exchange: Exchange, body: Counted) -> Sequence[ChatMessage]:
        if body.previous_response_id is None:
            return ()
        name = body.previous_response_id
        return self.store.find(_owner(exchange), name, "previous_response_id").messages

    async def _events(
        self,
        exchange: Exchange,
        said: Sequence[ChatMessage],
        talking: Talk,
        response: Response,
    ) -> AsyncIterator[bytes]:
        """The events of an answer; none before the model has begun it."""
        written: list[bytes] = []

        def emit(each: Event) -> None:
            written.append(event(each, str(each.__struct_config__.tag)))

        def drained() -> bytes:
            data = b"".join(written)
            written.clear()
            return data

        def failed(error: ApiError) -> bytes:
            writing.fail(error)
            return drained()

        writing = Writing(response, emit)
        chunk = await anext(talking, None)
        exchange.tell_event = failed
        writing.begin()
        while chunk is not None:
            writing.add(chunk, talking.logprobs)
            yield drained()
            chunk = await anext(talking, None)
        self._finish(exchange, said, talking, writing)
        yield drained()

    def _finish(
        self, exchange: Exchange, said: Sequence[ChatMessage], talking: Talk, writing: Writing
    ) -> None:
        done = talking.result
        writing.finish(done, talking.reasoning_tokens)
        if writing.response.store:
            self.store.keep(_owner(exchange), writing.response, [*said, done.message])


def _owner(exchange: Exchange) -> str | None:
    return None if exchange.key is None else exchange.key.key


def _begun(body: ResponsesRequest, talking: Talk) -> Response:
    """A response of which nothing is written, with what the request says."""
    shape: dict[str, Any] = {"format": {"type": "text"}}
    if body.text is not None and body.text.format is not None:
        given = body.text.format
        shape["format"] = given if given.type == "json_schema" else {"type": given.type}
    thinking = body.reasoning
    return Response(
        model=talking.model,
        instructions=body.instructions,
        max_output_tokens=body.max_output_tokens,
        metadata=body.metadata or {},
        parallel_tool_calls=body.parallel_tool_calls is not False,
        previous_response_id=body.previous_response_id,
        prompt_cache_key=body.prompt_cache_key,
        reasoning={"effort": thinking.effort if thinking else None, "summary": None},
        safety_identifier=body.safety_identifier,
        store=body.store is not False,
        temperature=talking.sampling.temperature,
        text=shape,
        tool_choice=body.tool_choice or "auto",
        tools=[{"strict": None, "parameters": None, **tool} for tool in body.tools or ()],
        top_logprobs=body.top_logprobs or 0,
        top_p=talking.sampling.top_p,
        user=body.user,
    )


def routes(server: Server) -> Iterator[Route]:
    """What is answered here."""

    def answering(endpoint: Any) -> Answering:
        return Answering(server, endpoint)

    responses = Responses()
    for start in ("", "/v1"):
        path = f"{start}/responses"
        yield Route(path, answering(responses.create), methods=["POST"])
        yield Route(f"{path}/input_tokens", answering(responses.count), methods=["POST"])
        one = f"{path}/{{response_id}}"
        yield Route(one, answering(responses.retrieve), methods=["GET"])
        yield Route(one, answering(responses.delete), methods=["DELETE"])
