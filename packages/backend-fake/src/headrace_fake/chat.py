"""The fake's chat format: simple enough to script an answer by hand.

A message is rendered as a line ``role: content`` that ends with ``<eos>``. What
the model writes is read so::

    <think>what it thinks</think>
    text, the answer
    <tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>

The thoughts come first, the calls come last, and each part may be missing. A
``FakeOptions.script`` of that kind is how a test makes a model call a tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from headrace.errors import ChatParseError, UnsupportedError
from headrace.grammar import JsonSchema
from headrace.protocols import ChatRequest, RenderedChat
from headrace.results.chat import ChatChunk, ChatMessage, ToolCall, ToolCallDelta

THINK, END_THINK = "<think>", "</think>"
CALL, END_CALL = "<tool_call>", "</tool_call>"


def render(request: ChatRequest) -> RenderedChat:
    """The conversation as text, up to where the assistant's next answer begins.

    Raises:
        UnsupportedError: If a template was given: the fake has no template engine.
    """
    if request.template is not None:
        raise UnsupportedError(
            "the fake backend renders no templates",
            hint="Leave out template=, or load a model of another backend.",
            backend="fake",
        )
    calls = bool(request.tools) and request.tool_choice != "none"
    if calls and request.json_schema is not None:
        raise UnsupportedError(
            "the fake backend keeps an answer either to calls of tools or to a response_format",
            hint="Leave out one of them, or pass tool_choice='none' beside the response_format.",
            backend="fake",
        )
    lines = [_line(message) for message in request.messages]
    if calls:
        known = [{"name": tool.name, "parameters": tool.parameters} for tool in request.tools]
        lines.insert(0, f"tools: {json.dumps(known)}<eos>\n")
    return RenderedChat(
        prompt="".join(lines) + "assistant: ",
        parser=FakeChatParser(calls=calls),
        grammar=JsonSchema(request.json_schema) if request.json_schema else None,
        spoken=(THINK, END_THINK),
    )


def _line(message: ChatMessage) -> str:
    calls = "".join(
        f'{CALL}{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}{END_CALL}'
        for call in message.tool_calls
    )
    thoughts = f"{THINK}{message.reasoning}{END_THINK}" if message.reasoning else ""
    return f"{message.role}: {thoughts}{message.content}{calls}<eos>\n"


class FakeChatParser:
    """Reads an answer.

    Args:
        calls: Whether there are tools to call; without them, all is text.
    """

    def __init__(self, *, calls: bool) -> None:
        self._calls = calls
        self._part = "begin"
        self._held = ""
        self._n_calls = 0

    def feed(self, text: str) -> ChatChunk | None:
        """See ``ChatParser``; takes as long as the new text is."""
        self._held += text
        reasoning, content = self._take_thoughts(), self._take_content()
        chunk = ChatChunk(content, reasoning, tuple(self._take_calls()))
        return chunk if chunk != ChatChunk() else None

    def _take_thoughts(self) -> str:
        if self._part == "begin" and not THINK.startswith(self._held):
            self._part = "thoughts" if self._held.startswith(THINK) else "content"
            self._held = self._held.removeprefix(THINK)
        return self._take_until(END_THINK, "content") if self._part == "thoughts" else ""

    def _take_content(self) -> str:
        if self._part != "content":
            return ""
        if self._calls:
            return self._take_until(CALL, "call")
        text, self._held = self._held, ""
        return text

    def _take_calls(self) -> Iterator[ToolCallDelta]:
        while self._part in ("call", "after a call"):
            if self._part == "after a call":
                self._take_until(CALL, "call")
            text, ended, rest = self._held.partition(END_CALL)
            if self._part != "call" or not ended:
                return
            try:
                call = _call(text)
            except ChatParseError:
                call = ToolCall(name="")
            if CALL in text or not call.name:
                self._part = "out of format"
                return
            yield ToolCallDelta(self._n_calls, name=call.name, arguments=call.arguments)
            self._part, self._held = "after a call", rest
            self._n_calls += 1

    def _take_until(self, tag: str, then: str) -> str:
        """The text up to a tag, at which another part begins, as far as it is no tag for sure."""
        text, found, rest = self._held.partition(tag)
        if found:
            self._part, self._held = then, rest
        else:
            text = _sure(text, tag)
            self._held = self._held[len(text) :]
        return text

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser``."""
        reasoning, text = _reasoning(text, partial)
        content, calls = _split_calls(text, partial) if self._calls else (text, [])
        return ChatMessage(
            role="assistant",
            content=content,
            reasoning=reasoning,
            tool_calls=tuple(_call(each) for each in calls),
        )


def _reasoning(text: str, partial: bool) -> tuple[str, str]:
    """The thoughts at the beginning, and what follows them."""
    if partial and THINK.startswith(text):
        return "", ""
    if not text.startswith(THINK):
        return "", text
    thoughts, ended, rest = text.removeprefix(THINK).partition(END_THINK)
    if partial and not ended:
        thoughts = _sure(thoughts, END_THINK)
    return thoughts, rest


def _split_calls(text: str, partial: bool) -> tuple[str, list[str]]:
    """The answer's text, and the JSON of every whole call."""
    content, *rest = text.split(CALL)
    if partial and not rest:
        return _sure(content, CALL), []
    calls = []
    for each in rest:
        call, ended, after = each.partition(END_CALL)
        if not ended and partial:
            break
        if not ended or (after.strip() and not partial):
            raise ChatParseError(
                "the answer has a call that does not end, or text after one",
                text=text,
                backend="fake",
            )
        calls.append(call)
    return content, calls


def _sure(text: str, tag: str) -> str:
    """The text without an end that may be the beginning of a tag."""
    for length in range(min(len(text), len(tag) - 1), 0, -1):
        if text.endswith(tag[:length]):
            return text[:-length]
    return text


def _call(text: str) -> ToolCall:
    try:
        found: Any = json.loads(text)
        return ToolCall(name=found["name"], arguments=json.dumps(found["arguments"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ChatParseError(
            f"a call in the answer cannot be read: {error!r}", text=text, backend="fake"
        ) from None
