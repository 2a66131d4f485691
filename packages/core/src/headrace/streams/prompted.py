"""Reads calls that a model writes as plain text, because its template knows no tools."""

from __future__ import annotations

import json
from typing import Any

import attrs

from headrace.errors import GrammarError, UnsupportedError
from headrace.grammar import JsonSchema
from headrace.requests.chat import ChatRequest
from headrace.requests.tools_in_prompt import CALL, END_CALL
from headrace.results.chat import ChatMessage, Tool, ToolCall
from headrace.streams.parser import ChatParser, RenderedChat, WholeTextParser


def reading_calls(request: ChatRequest, rendered: RenderedChat) -> RenderedChat:
    """The rendering of what ``in_prompt`` made of a request, with a parser that reads calls.

    Args:
        request: As the caller made it.
        rendered: What a backend made of it.

    Raises:
        UnsupportedError: If a call is required that no grammar can be made for.
    """
    if not request.tools_in_prompt or not request.tools or request.tool_choice == "none":
        return rendered
    required = request.tool_choice == "required"
    parser = PromptedParser(rendered.parser, bare=required)
    return attrs.evolve(
        rendered,
        parser=parser,
        grammar=_one_call(request.tools) if required else rendered.grammar,
    )


def _one_call(tools: tuple[Tool, ...]) -> JsonSchema:
    """A grammar for a call of one of the tools."""
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": tool.name},
                "arguments": _moved(tool.parameters, f"#/anyOf/{index}/properties/arguments"),
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for index, tool in enumerate(tools)
    ]
    try:
        return JsonSchema({"anyOf": calls}, strict=False)
    except GrammarError as error:
        raise UnsupportedError(
            f"no grammar can be made for a required call: {error.message}",
            hint="Pass tool_choice='auto', or simplify the parameters of the tools.",
        ) from None


def _moved(schema: Any, to: str) -> Any:
    """A schema as a part of another: references lead to where it is now."""
    if isinstance(schema, list):
        return [_moved(each, to) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _moved(value, to) for name, value in schema.items()}
    target = found.get("$ref")
    if isinstance(target, str) and target.startswith("#"):
        found["$ref"] = f"{to}{target[1:]}"
    return found


class PromptedParser(WholeTextParser):
    """Finds calls in the content of another parser's messages.

    Args:
        parser: Of the template's format.
        bare: Whether the answer is nothing but one call, without tags.
    """

    def __init__(self, parser: ChatParser, *, bare: bool = False) -> None:
        super().__init__()
        self._inner = parser
        self._bare = bare

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser.parse``."""
        message = self._inner.parse(text, partial=partial)
        if self._bare:
            return self._one(message, partial)
        content, calls, unread = _split(message.content, partial)
        return attrs.evolve(
            message, content=content, tool_calls=tuple(calls), unread=message.unread or unread
        )

    def _one(self, message: ChatMessage, partial: bool) -> ChatMessage:
        call = _read(message.content)
        if call is not None:
            return attrs.evolve(message, content="", tool_calls=(call,))
        if partial:
            return attrs.evolve(message, content="")
        return attrs.evolve(message, unread=bool(message.content.strip()))


def _split(text: str, partial: bool) -> tuple[str, list[ToolCall], bool]:
    """What is no call, the calls, and whether something that looks like one is none."""
    content, *rest = text.split(CALL)
    if not rest:
        return (_sure(content) if partial else content), [], False
    calls: list[ToolCall] = []
    parts, unread = [content], False
    for index, each in enumerate(rest):
        inside, ended, after = each.partition(END_CALL)
        if not ended and partial and index == len(rest) - 1:
            return "".join(parts).rstrip(), calls, unread
        call = _read(inside)
        if call is None:
            unread = True
            parts.append(CALL + each)
        else:
            calls.append(call)
            parts[-1] = parts[-1].rstrip()  # the line break before a call is none of the answer's
            parts.append(after)
    whole = "".join(parts)
    return (_sure(whole) if partial else whole.rstrip()), calls, unread


def _sure(text: str) -> str:
    """The text without an end that may be the beginning of a call."""
    for length in range(min(len(text), len(CALL) - 1), 0, -1):
        if text.endswith(CALL[:length]):
            text = text[:-length]
            break
    return text.rstrip()


def _read(text: str) -> ToolCall | None:
    try:
        found: Any = json.loads(text)
        name, arguments = found["name"], found.get("arguments") or {}
        if isinstance(name, str) and isinstance(arguments, dict):
            written = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
            return ToolCall(name=name, arguments=written)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    return None
