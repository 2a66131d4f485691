"""From one reading of an unfinished answer to the next: what is new.

A reading may hold back less than the one before and then take it back (half a
tag that turned out to be one): what was shown stays shown, and nothing new is
shown until the reading has grown past it.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from headrace.errors import ChatParseError
from headrace.results.chat import ChatChunk, ChatMessage, ToolCall, ToolCallDelta


class MessageDeltas:
    """What a reader was shown of a message.

    Args:
        make_id: Makes an id for the call of that index, where the model gave none.
    """

    def __init__(self, make_id: Callable[[int], str]) -> None:
        self._make_id = make_id
        self._content = ""
        self._reasoning = ""
        self._calls: list[ToolCall] = []

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
        )
        self._content += chunk.content
        self._reasoning += chunk.reasoning
        return chunk if chunk != ChatChunk() else None

    def finish(self, message: ChatMessage, text: str) -> tuple[ChatMessage, ChatChunk | None]:
        """The whole message, its calls with ids, and what of it was not shown yet.

        Raises:
            ChatParseError: If what was shown is not how the message begins.
        """
        calls = tuple(
            attrs.evolve(call, id=self._id(index, call))
            for index, call in enumerate(message.tool_calls)
        )
        whole = attrs.evolve(message, tool_calls=calls)
        chunk = self.advance(whole, last=True)
        shown = (self._content, self._reasoning, self._calls)
        if shown != (whole.content, whole.reasoning, list(calls)):
            raise ChatParseError(
                "the answer as a whole reads differently from what was streamed of it",
                hint="Its text is in this error's text.",
                text=text,
            )
        return whole, chunk

    def _id(self, index: int, call: ToolCall) -> str:
        if index < len(self._calls):
            return self._calls[index].id
        return call.id or self._make_id(index)

    def _new_calls(self, calls: tuple[ToolCall, ...], last: bool) -> list[ToolCallDelta]:
        found = []
        for index, call in enumerate(calls):
            complete = last or index + 1 < len(calls)
            if index == len(self._calls):
                if not call.name or not (complete or call.arguments):
                    break  # the name may still grow
                begun = ToolCall(id=self._id(index, call), name=call.name, arguments="")
                self._calls.append(begun)
                found.append(ToolCallDelta(index, id=begun.id, name=begun.name))
            shown = self._calls[index]
            arguments = _grown(shown.arguments, call.arguments)
            if arguments:
                self._calls[index] = attrs.evolve(shown, arguments=shown.arguments + arguments)
                if found and found[-1].index == index:
                    found[-1] = attrs.evolve(found[-1], arguments=arguments)
                else:
                    found.append(ToolCallDelta(index, arguments=arguments))
        return found


def _grown(shown: str, text: str) -> str:
    """What a text has beyond what was shown of it; nothing if it does not begin with that."""
    return text[len(shown) :] if text.startswith(shown) else ""
