"""``POST /v1/chat/completions``: OpenAI's chat, with what llama-server adds to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.routing import Route

from headrace.results import StopReason
from headrace_server.endpoints.answering import Answering, described
from headrace_server.endpoints.fields import number_of_answers, refusal
from headrace_server.errors import ApiError
from headrace_server.generation.chats import (
    UNREAD,
    Answers,
    Asked,
    answering,
    each_of,
    finish_reason,
)
from headrace_server.http.events import DONE, event
from headrace_server.wire import chat as wire
from headrace_server.wire.common import new_id

if TYPE_CHECKING:
    from headrace.results import TokenLogprob
    from headrace.results.chat import ChatChunk, ChatCompletion
    from headrace.streams.chat import ChatStream
    from headrace_server.generation.pieces import Pieces
    from headrace_server.http.exchange import Exchange
    from headrace_server.server import Server

_text = msgspec.json.Encoder().encode


def routes(server: Server) -> Iterator[Route]:
    """What is answered here."""
    for path in ("/v1/chat/completions", "/chat/completions"):
        yield Route(path, Answering(server, chat_completions), methods=["POST"])


@described(wire.ChatRequest, wire.ChatCompletion, events=True)
async def chat_completions(exchange: Exchange) -> None:
    """Answer a conversation, whole or as a stream."""
    request = await exchange.body(wire.ChatRequest)
    exchange.names = _names(request)
    asked = asked_of(request)
    usage = bool(request.stream_options and request.stream_options.include_usage)
    async with answering(exchange, asked) as answers:
        if request.stream:
            await _Streaming(exchange, answers, usage).run()
        else:
            await exchange.respond(await _whole(answers))


def _names(request: wire.ChatRequest) -> dict[str, str]:
    names = {
        "template_args": "chat_template_kwargs",
        "logprobs": "top_logprobs",
        "reasoning": "chat_template_kwargs.enable_thinking",
    }
    for name in ("max_completion_tokens", "max_tokens", "n_predict"):
        if getattr(request, name) is not None:
            return {**names, "max_tokens": name}
    return names


# -- what is asked ------------------------------------------------------------


def asked_of(request: wire.ChatRequest) -> Asked:
    """A request in headrace's words.

    Raises:
        ApiError: For a field that cannot be honoured, alone or beside another.
    """
    _refuse_unknown(request)
    return Asked(
        messages=[message.for_headrace() for message in request.messages],
        model=request.model,
        render=_render(request),
        sampling=request,
        logprobs=_logprobs(request),
        max_tokens=_max_tokens(request),
        n=number_of_answers(request.n),
    )


def _refuse_unknown(request: wire.ChatRequest) -> None:
    for field in ("functions", "function_call"):
        if getattr(request, field) is not None:
            raise refusal(field, "is not supported any more; use tools and tool_choice")
    for field in ("audio", "prediction", "web_search_options"):
        if getattr(request, field) is not None:
            raise refusal(field, "is not supported here; leave it out")
    if request.modalities not in (None, ["text"]):
        raise refusal("modalities", f'answers are ["text"] alone, got {request.modalities!r:.60}')
    if request.reasoning_format not in (None, "auto", "deepseek"):
        raise refusal(
            "reasoning_format",
            "thoughts always come as reasoning_content; leave it out or pass 'auto', "
            f"got {request.reasoning_format!r:.60}",
        )


def _render(request: wire.ChatRequest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if request.tools:
        found["tools"] = [_tool(f"tools[{at}]", tool) for at, tool in enumerate(request.tools)]
        several = request.parallel_tool_calls
        found["parallel_tool_calls"] = True if several is None else several
        if request.grammar:
            raise refusal("grammar", "tools have a grammar of their own; leave out one of them")
    if request.tool_choice is not None:
        found["tool_choice"] = request.tool_choice
    wanted = _response_format(request)
    if wanted is not None:
        found["response_format"] = wanted
    found.update(_reasoning(request))
    return found


def _tool(where: str, tool: wire.ToolParam) -> dict[str, Any]:
    if tool.type != "function":
        raise refusal(f"{where}.type", f"must be 'function', got {tool.type!r:.60}")
    return tool.for_headrace()


def _response_format(request: wire.ChatRequest) -> dict[str, Any] | None:
    given = request.response_format
    if request.json_schema is not None:
        if given is not None:
            raise refusal("json_schema", "says the same as response_format; leave out one of them")
        return {"type": "json_schema", "json_schema": {"schema": request.json_schema}}
    if given is None:
        return None
    found: dict[str, Any] = {"type": given.type}
    if given.type == "json_schema":
        if given.json_schema is None and given.schema is None:
            raise ApiError(
                400,
                "invalid_value",
                'response_format.json_schema: is missing; a schema is given so: {"type": '
                '"json_schema", "json_schema": {"name": "…", "schema": {…}}}',
                param="response_format.json_schema",
            )
        schema = given.json_schema.schema if given.json_schema else given.schema
        found["json_schema"] = {"schema": schema}
    elif given.type == "json_object" and given.schema is not None:
        found["schema"] = given.schema
    return found


def _reasoning(request: wire.ChatRequest) -> dict[str, Any]:
    variables = dict(request.chat_template_kwargs or {})
    found: dict[str, Any] = {}
    if "enable_thinking" in variables:
        found["reasoning"] = variables.pop("enable_thinking")
    if request.reasoning_effort is not None:
        if request.reasoning_effort == "none":
            found.setdefault("reasoning", False)
        else:
            variables.setdefault("reasoning_effort", request.reasoning_effort)
    if variables:
        found["template_args"] = variables
    return found


def _logprobs(request: wire.ChatRequest) -> int | None:
    if request.top_logprobs is not None and not request.logprobs:
        raise ApiError(
            400,
            "invalid_value",
            f"top_logprobs: is {request.top_logprobs}, but logprobs is not true; set it, or leave "
            "out top_logprobs",
            param="top_logprobs",
        )
    return (request.top_logprobs or 0) if request.logprobs else None


def _max_tokens(request: wire.ChatRequest) -> int | None:
    most = request.max_completion_tokens
    if most is None:
        most = request.max_tokens
    if most is None and request.n_predict is not None and request.n_predict >= 0:
        most = request.n_predict
    return most


# -- whole answers ------------------------------------------------------------


async def _whole(answers: Answers) -> wire.ChatCompletion:
    await each_of(answers.seat.read, answers.streams)
    pieces = answers.served.pieces
    choices = []
    for index, stream in enumerate(answers.streams):
        done = stream.result
        message = done.message
        calls = [
            wire.Call(call.id, wire.CallText(call.arguments, call.name))
            for call in message.tool_calls
        ]
        answer = wire.AnswerMessage(
            role="assistant",
            content=message.content if message.content or not calls else None,
            reasoning_content=message.reasoning or None,
            tool_calls=calls or None,
            unread=message.unread,
            note=UNREAD if message.unread else None,
        )
        choices.append(
            wire.Choice(index, answer, finish_reason(done), await _told(visible(done), pieces))
        )
    usage = answers.usage()
    return wire.ChatCompletion(
        id=new_id("chatcmpl"),
        created=int(time.time()),
        model=answers.served.name,
        system_fingerprint=answers.served.model.info.build,
        choices=choices,
        usage=usage,
        timings=answers.timings(),
    )


def visible(done: ChatCompletion) -> tuple[TokenLogprob, ...]:
    """Log-probabilities of the tokens that are text: not of the one that ends the answer."""
    return done.logprobs[:-1] if done.stop_reason is StopReason.EOG else done.logprobs


async def _told(logprobs: tuple[TokenLogprob, ...], pieces: Pieces) -> wire.Logprobs | None:
    """Log-probabilities in OpenAI's shape; None for none."""
    if not logprobs:
        return None
    await pieces.know(logprobs)
    return wire.Logprobs([pieces.shown(each) for each in logprobs])


# -- streams ------------------------------------------------------------------


class _Streaming:
    """One request's answers as events.

    Args:
        exchange: Whose.
        answers: Its streams.
        usage: Whether the last event tells the tokens.
    """

    def __init__(self, exchange: Exchange, answers: Answers, usage: bool) -> None:
        self._exchange = exchange
        self._answers = answers
        self._usage = usage
        self._id = new_id("chatcmpl")
        self._created = int(time.time())
        self._left = 0  # answers that have not ended
        self._fingerprint = answers.served.model.info.build
        # All that is the same in every event is encoded once.
        empty = event(self._chunk([]))
        self._head, _, self._tail = empty.partition(b'"choices":[]')

    async def run(self) -> None:
        """Send everything, from the first event to ``[DONE]``."""
        streams = self._answers.streams
        self._left = len(streams)
        await each_of(self._one, tuple(enumerate(streams)))
        if self._usage:
            last = self._chunk([])
            last.usage, last.timings = self._answers.usage(), self._answers.timings()
            await self._exchange.send(event(last))
        await self._exchange.send(DONE)
        await self._exchange.finish()

    async def _one(self, numbered: tuple[int, ChatStream]) -> None:
        """One answer. Its first event comes with its first text, so that a failure has a status."""
        index, stream = numbered
        send = self._exchange.send
        before = b'"choices":[{"index":%d,"delta":{' % index
        after = b'},"logprobs":null,"finish_reason":null}]' + self._tail
        plain_head = self._head + before
        first = self._choice(wire.Delta(role="assistant", content=None), index)
        told = 0
        calls: set[int] = set()
        async for chunk in self._answers.seat.watched(stream):
            if first:
                await send(first)
                first = b""
            logprobs = stream.logprobs[told:] if self._answers.logprobs else ()
            told += len(logprobs)
            if logprobs or chunk.tool_calls or chunk.unread or (chunk.content and chunk.reasoning):
                delta = _delta(chunk, calls)
                shown = await _told(logprobs, self._answers.served.pieces)
                await send(self._choice(delta, index, shown))
            elif chunk.content:
                await send(plain_head + b'"content":' + _text(chunk.content) + after)
            elif chunk.reasoning:
                await send(plain_head + b'"reasoning_content":' + _text(chunk.reasoning) + after)
        done = stream.result
        reason = finish_reason(done)
        if first:
            await send(first)
        left = visible(done)[told:]
        if left:
            shown = await _told(left, self._answers.served.pieces)
            await send(self._choice(wire.Delta(content=""), index, shown))
        self._left -= 1
        end = self._chunk([wire.ChunkChoice(index, wire.Delta(), None, reason)])
        if not self._left and not self._usage:
            end.timings = self._answers.timings()
        await send(event(end))

    def _chunk(self, choices: list[wire.ChunkChoice]) -> wire.ChatChunk:
        return wire.ChatChunk(
            id=self._id,
            created=self._created,
            model=self._answers.served.name,
            system_fingerprint=self._fingerprint,
            choices=choices,
            object="chat.completion.chunk",
        )

    def _choice(
        self,
        delta: wire.Delta,
        index: int,
        logprobs: wire.Logprobs | None = None,
    ) -> bytes:
        return event(self._chunk([wire.ChunkChoice(index, delta, logprobs)]))


def _delta(chunk: ChatChunk, known: set[int]) -> wire.Delta:
    """A chunk in OpenAI's words; a call's id and name are in its first delta alone."""
    calls = []
    for call in chunk.tool_calls:
        if call.index in known:
            calls.append(wire.CallDelta(call.index, wire.CallText(call.arguments)))
        else:
            known.add(call.index)
            text = wire.CallText(call.arguments, call.name)
            calls.append(wire.CallDelta(call.index, text, call.id, "function"))
    return wire.Delta(
        content=chunk.content or msgspec.UNSET,
        reasoning_content=chunk.reasoning or None,
        tool_calls=calls or None,
        unread=chunk.unread,
        note=UNREAD if chunk.unread else None,
    )
