"""An answer as a message, chunk by chunk: in this process, or in the one where the model is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from headrace.errors import ChatParseError
from headrace.requests.tool_schemas import argument_problems
from headrace.results.chat import ChatChunk, ChatMessage, Tool, ToolCall
from headrace.streams.deltas import ChunkedMessage, MessageDeltas
from headrace.streams.ends import UNFINISHED, WHOLE

if TYPE_CHECKING:
    from headrace.results import StopReason
    from headrace.streams.parser import ChatParser


class Reading:
    """Has a parser read an answer, and sees that its chunks are the message.

    Args:
        parser: Reads this answer and no other.
    """

    def __init__(self, parser: ChatParser) -> None:
        self._parser = parser
        self._shown = ChunkedMessage()

    def take(self, text: str) -> ChatChunk | None:
        """What a chunk of text adds to the message, unless it is the last."""
        chunk = self._parser.feed(text) if text else None
        return self._noted(chunk)

    def finish(self, text: str, end: StopReason) -> ChatChunk | None:
        """What the last chunk adds, and all that was held back.

        Args:
            text: The whole answer.
            end: Why it ended; one that was cut short is read as far as it goes.

        What cannot be read is content, and the message says so: it has all that the model wrote.

        Raises:
            ChatParseError: If the parser contradicts what it gave before.
        """
        if end in UNFINISHED:
            return None
        shown = self._shown.message
        try:
            message = self._parser.parse(text, partial=end not in WHOLE)
        except ChatParseError:
            if end not in WHOLE:
                return None
            message = _with_rest(shown, text)
        if message.unread:
            message = _completed(message, shown, text)
        return self._noted(MessageDeltas(shown).finish(message, text))

    def _noted(self, chunk: ChatChunk | None) -> ChatChunk | None:
        return None if chunk is None else self._shown.add(chunk)


def _completed(message: ChatMessage, shown: ChatMessage, text: str) -> ChatMessage:
    """A message of which a part could not be read, with all that was shown of that part."""
    if not message.content.startswith(shown.content) or message.reasoning != shown.reasoning:
        return _with_rest(shown, text)
    begun = shown.tool_calls[len(message.tool_calls) :]
    return attrs.evolve(message, tool_calls=message.tool_calls + begun)


def _with_rest(shown: ChatMessage, text: str) -> ChatMessage:
    """What was shown of an answer that cannot be read, and the rest of it as content."""
    at = 0
    for part in (shown.reasoning, shown.content, *(call.arguments for call in shown.tool_calls)):
        found = text.find(part, at)
        at = at if found < 0 else found + len(part)
    return attrs.evolve(shown, content=shown.content + text[at:], unread=True)


def checked_calls(message: ChatMessage, tools: tuple[Tool, ...], end: StopReason) -> ChatMessage:
    """A message whose finished calls tell whether their arguments are valid.

    Args:
        message: All that was read of an answer.
        tools: What was offered.
        end: Why the answer ended; one that was cut short may end in the middle of a call.
    """
    if not (tools and message.tool_calls):
        return message
    schemas = {tool.name: json.dumps(dict(tool.parameters), ensure_ascii=False) for tool in tools}
    *earlier, last = message.tool_calls
    finished = message.tool_calls if end in WHOLE or _is_whole(last) else tuple(earlier)
    checked = tuple(
        attrs.evolve(call, problems=argument_problems(call, schemas)) for call in finished
    )
    return attrs.evolve(message, tool_calls=checked + message.tool_calls[len(checked) :])


def _is_whole(call: ToolCall) -> bool:
    """Whether a call that may have been cut off has all of its arguments."""
    try:
        return bool(call.arguments.strip()) and bool(call.parsed())
    except ChatParseError:
        return False
