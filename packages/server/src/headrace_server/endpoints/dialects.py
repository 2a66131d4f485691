"""What the interfaces of Responses and of Anthropic's messages have in common.

Both are other words for a chat: a request becomes messages and keywords of ``Session.chat``, with
errors that name the place in the request, and the chunks of its stream become events.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from headrace import ToolCall
from headrace.common.workers import in_worker
from headrace.errors import ChatParseError
from headrace.streams.plain_text import tokens_of
from headrace_server.endpoints.fields import refusal, wrong
from headrace_server.generation.chats import answering, check_ended
from headrace_server.http.bodies import wrong_field

if TYPE_CHECKING:
    from headrace.results import TokenLogprob
    from headrace.results.chat import ChatChunk, ChatCompletion
    from headrace_server.generation.chats import Answers, Asked
    from headrace_server.generation.seat import Watched
    from headrace_server.http.exchange import Exchange
    from headrace_server.wire import chat as wire

_T = TypeVar("_T")


def converted(value: Any, kind: type[_T], where: str) -> _T:
    """A decoded value as a value of a class.

    Raises:
        ApiError: For a missing or wrong field, named with its place in the request.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise wrong_field(str(error), where) from None


def texts(parts: str | Sequence[Mapping[str, Any]], where: str, kinds: Sequence[str]) -> str:
    """The text of a content that may come in parts.

    Args:
        parts: A text, or parts with a ``type``.
        where: Its place in the request.
        kinds: Types of parts that have a ``text``.

    Raises:
        ApiError: For another part, or one without a text.
    """
    if isinstance(parts, str):
        return parts
    return "\n".join(_text(part, f"{where}[{at}]", kinds) for at, part in enumerate(parts))


def _text(part: Mapping[str, Any], where: str, kinds: Sequence[str]) -> str:
    if part.get("type") not in kinds:
        raise refusal(
            f"{where}.type",
            f"{part.get('type')!r:.60} cannot stand here; text can: {' or '.join(kinds)}",
        )
    field = "refusal" if part["type"] == "refusal" else "text"
    text = part.get(field)
    if not isinstance(text, str):
        raise wrong(f"{where}.{field}", f"must be a string, got {text!r:.60}")
    return text


def call(where: str, *, name: str, id: str, arguments: str) -> ToolCall:
    """A call of the history.

    Args:
        where: The place of its arguments.
        name: The tool's.
        id: What its result names.
        arguments: A JSON object.

    Raises:
        ApiError: If they are none.
    """
    found = ToolCall(name=name, id=id, arguments=arguments)
    try:
        found.parsed()
    except ChatParseError as error:
        raise wrong(
            where,
            f"must be a JSON object: {error.message}. A call that was cut short cannot be gone on "
            "with: leave it out, or give it the arguments {}",
        ) from None
    return found


class Talk:
    """One answer as it comes, with what has to be told about it.

    Args:
        answers: The answer, of which nothing was read.
    """

    def __init__(self, answers: Answers) -> None:
        (self.stream,) = answers.streams
        self.model = answers.served.name
        self.sampling = answers.sampling
        self._chunks: Watched[ChatChunk] = answers.seat.watched(self.stream)
        self._pieces = answers.served.pieces
        self._told = 0 if answers.logprobs else None
        self._passed: list[TokenLogprob] = []  # tokens of which no text was handed out yet
        self.logprobs: list[wire.TokenLogprob] = []
        """Of the tokens of the last piece's text, if the request asks for them."""
        self.reasoning_tokens = 0
        """Tokens up to the last thought, the format's own marks included."""

    def __aiter__(self) -> Talk:
        return self

    async def __anext__(self) -> ChatChunk:
        """The next piece of the answer.

        Raises:
            StopAsyncIteration: At the end.
            HeadraceError: If the generation failed.
        """
        chunk = await anext(self._chunks)
        if chunk.reasoning:
            self.reasoning_tokens = self.stream.statistics().delivered_tokens
        if self._told is not None:
            new = self.stream.logprobs[self._told :]
            self._told += len(new)
            self._passed.extend(new)
            await self._pieces.know(new)
            found = self._of_text(chunk.content)
            self.logprobs = [self._pieces.shown(each) for each in found]
        return chunk

    def _of_text(self, text: str) -> list[TokenLogprob]:
        """The tokens that a text was written with: not those of marks and thoughts before it."""
        if not text:
            return []
        pieces = [self._pieces[each.token] for each in self._passed]
        begins = b"".join(pieces).find(text.encode())
        if begins < 0:  # characters that no bytes of theirs stand for
            found, self._passed = self._passed, []
            return found
        ends = begins + len(text.encode())
        found, rest, place = [], [], 0
        for each, piece in zip(self._passed, pieces, strict=True):
            if place >= ends:
                rest.append(each)
            elif place + len(piece) > begins:
                found.append(each)
            place += len(piece)
        self._passed = rest
        return found

    @property
    def result(self) -> ChatCompletion:
        """The whole answer.

        Raises:
            ApiError: For an end that is none of the model's and none that was asked for.
        """
        done = self.stream.result
        check_ended(done.stop_reason)
        return done


@contextlib.asynccontextmanager
async def talk(exchange: Exchange, asked: Asked) -> AsyncIterator[Talk]:
    """A model at work on one answer, as long as the block runs.

    Raises:
        ApiError: See ``answering``.
        HeadraceError: What ``Session.chat`` raises.
    """
    async with answering(exchange, asked) as answers:
        yield Talk(answers)


async def counted(exchange: Exchange, asked: Asked) -> int:
    """How many tokens a conversation has as the model sees it.

    Raises:
        ApiError: If there is no such model.
        HeadraceError: What ``Model.render_chat`` raises.
    """
    await asked.check_schema()
    async with exchange.server.registry.use(asked.model, exchange) as served:
        rendered = await served.model.arender_chat(asked.messages, **served.shown(asked.render))
        model = served.model
        return await in_worker(lambda: len(tokens_of(model, rendered)))
