"""Between messages and the chunks that they come in.

A reading of an unfinished answer may hold back less than the one before and then
take it back (half a tag that turned out to be one): what was shown stays shown,
and nothing new is shown until the reading has grown past it.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from headrace.errors import ChatParseError
from headrace.results.chat import ChatChunk, ChatMessage, ToolCall, ToolCallDelta


class ChunkedMessage:
    """The message that chunks amount to.

    Args:
        make_id: Makes an id for the call of that index, where it begins without one.
    """

    def __init__(self, make_id: Callable[[int], str] = lambda index: "") -> None:
        self._make_id = make_id
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        self._unread = False

    def add(self, chunk: ChatChunk) -> ChatChunk:
        """Note a chunk; the same with an id for each call that begins in it."""
        calls = tuple(self._add_call(delta) for delta in chunk.tool_calls)
        self._content.append(chunk.content)
        self._reasoning.append(chunk.reasoning)
        self._unread |= chunk.unread
        return attrs.evolve(chunk, tool_calls=calls) if calls else chunk

    def _add_call(self, delta: ToolCallDelta) -> ToolCallDelta:
        if delta.index not in self._calls:
            delta = attrs.evolve(delta, id=delta.id or self._make_id(delta.index))
            self._calls[delta.index] = (delta.id, delta.name, [])
        self._calls[delta.index][2].append(delta.arguments)
        return delta

    @property
    def message(self) -> ChatMessage:
        """All of them one after the other."""
        calls = [
            ToolCall(id=call_id, name=name, arguments="".join(arguments))
            for _, (call_id, name, arguments) in sorted(self._calls.items())
        ]
        return ChatMessage(
            role="assistant",
            content="".join(self._content),
            reasoning="".join(self._reasoning),
            tool_calls=tuple(calls),
            unread=self._unread,
        )


class MessageDeltas:
    """What is new from one reading of an answer to the next.

    Args:
        shown: What was shown of it before.
    """

    def __init__(self, shown: ChatMessage | None = None) -> None:
        self._content = shown.content if shown else ""
        self._reasoning = shown.reasoning if shown else ""
        self._calls = [(call.name, call.arguments) for call in shown.tool_calls] if shown else []
        self._unread = shown.unread if shown else False

    def advance(self, message: ChatMessage, *, last: bool = False) -> ChatChunk | None:
        """What is new in a longer reading; None if nothing is.

        Args:
            message: The reading, whose calls may lack ids.
            last: Nothing follows: whatever is left is new.
        """
        chunk = ChatChunk(
            content=_grown(self._content, message.content),
            reasoning=_grown(self._reasoning, message.reasoning),
            tool_calls=tuple(self._new_calls(message.tool_calls, last)),
            unread=message.unread and not self._unread,
        )
        self._unread |= chunk.unread
        self._content += chunk.content
        self._reasoning += chunk.reasoning
        return chunk if chunk != ChatChunk() else None

    def finish(self, message: ChatMessage, text: str) -> ChatChunk | None:
        """What was not shown yet of the whole message, which was read from that text.

        Raises:
            ChatParseError: If what was shown is not how the message begins.
        """
        chunk = self.advance(message, last=True)
        calls = [(call.name, call.arguments) for call in message.tool_calls]
        if (self._content, self._reasoning, self._calls) != (
            message.content,
            message.reasoning,
            calls,
        ):
            raise ChatParseError(
                "the answer as a whole reads differently from what was streamed of it",
                hint="Its text is in this error's text.",
                text=text,
            )
        return chunk

    def _new_calls(self, calls: tuple[ToolCall, ...], last: bool) -> list[ToolCallDelta]:
        found = []
        for index, call in enumerate(calls):
            begins = index == len(self._calls)
            if begins:
                complete = last or index + 1 < len(calls)
                if not call.name or not (complete or call.arguments):
                    break  # the name may still grow
                self._calls.append((call.name, ""))
            name, shown = self._calls[index]
            arguments = _grown(shown, call.arguments)
            self._calls[index] = (name, shown + arguments)
            if begins:
                found.append(ToolCallDelta(index, call.id, call.name, arguments))
            elif arguments:
                found.append(ToolCallDelta(index, arguments=arguments))
        return found


def _grown(shown: str, text: str) -> str:
    """What a text has beyond what was shown of it; nothing if it does not begin with that."""
    return text[len(shown) :] if text.startswith(shown) else ""
