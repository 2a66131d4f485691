"""What llama.cpp's parsers pass over: a call that they cannot read is content, and said to be.

They are lenient: where a call lacks a required parameter, or names no tool, some return a message
without it, and what the model wrote would be gone. The words that begin a call in a format tell
where to look: a text from such a word on that adds no call to what stood before it was not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from headrace.errors import ChatParseError
from headrace.results.chat import ChatMessage

Parse = Callable[[str], ChatMessage]


def with_unread(text: str, marks: tuple[str, ...], parse: Parse) -> ChatMessage:
    """A whole answer as a message that has all of it.

    Args:
        text: What the model wrote.
        marks: What calls begin with.
        parse: Reads a whole text.

    Raises:
        ChatParseError: If it cannot be read, and no mark says from where on.
    """
    places = _places(text, marks)
    try:
        message = parse(text)
    except ChatParseError:
        for place in reversed(places):
            before = _read(text[:place], parse)
            if before is not None:
                return _with_rest(before, text[place:])
        raise
    for place in places:
        before = _read(text[:place], parse)
        if before is None or len(before.tool_calls) < len(message.tool_calls):
            continue
        if _is_thought(text, place, message):
            continue
        if text[place:].strip() in message.content:
            return attrs.evolve(message, unread=True)
        return _with_rest(before, text[place:])
    return message


def _places(text: str, marks: tuple[str, ...]) -> list[int]:
    return sorted({place for mark in marks for place in _found(text, mark)})


def _found(text: str, mark: str) -> Iterator[int]:
    place = text.find(mark)
    while place >= 0:
        yield place
        place = text.find(mark, place + len(mark))


def _is_thought(text: str, place: int, message: ChatMessage) -> bool:
    """Whether the model thinks of a call there."""
    thoughts = message.reasoning.strip()
    begin = text.find(thoughts) if thoughts else -1
    return begin >= 0 and begin <= place < begin + len(thoughts)


def _read(text: str, parse: Parse) -> ChatMessage | None:
    try:
        return parse(text)
    except ChatParseError:
        return None


def _with_rest(before: ChatMessage, rest: str) -> ChatMessage:
    return attrs.evolve(before, content=before.content + rest, unread=True)
