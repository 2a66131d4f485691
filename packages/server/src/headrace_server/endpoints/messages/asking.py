"""From a request of Anthropic's interface to a conversation, with errors that name the place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs

from headrace import ChatMessage, ToolCall
from headrace.errors import ParamsError
from headrace.requests.tool_schemas import check_tool_schema
from headrace_server.endpoints import dialects
from headrace_server.endpoints.dialects import converted, texts
from headrace_server.endpoints.fields import refusal, wrong
from headrace_server.generation.chats import Asked
from headrace_server.wire.messages import (
    Counted,
    MessagesRequest,
    TextParam,
    ThinkingParam,
    ToolParam,
    ToolResultParam,
    ToolUseParam,
    Turn,
    Values,
)

NAMES = {
    "response_format": "output_config.format",
    "template_args": "output_config.effort",
    "reasoning": "thinking",
    "stop": "stop_sequences",
}
"""What this interface calls otherwise than headrace does."""


def asked(body: Counted) -> Asked:
    """The conversation that a request is about.

    Args:
        body: The request.

    Raises:
        ApiError: For what is wrong or cannot be had, with its place.
    """
    whole = body if isinstance(body, MessagesRequest) else None
    if whole is not None:
        _check(whole)
        body.stop = [*body.stops, *(whole.stop_sequences or ())]
    return Asked(
        model=body.model,
        messages=[message.as_dict() for message in _messages(body)],
        render=_rendering(body),
        sampling=body,
        max_tokens=whole.max_tokens if whole else None,
        schema_field="output_config.format.schema",
    )


def _check(body: MessagesRequest) -> None:
    if body.max_tokens < 1:
        raise wrong("max_tokens", f"must be at least 1, got {body.max_tokens}")
    for name in ("container", "mcp_servers", "context_management"):
        if getattr(body, name):
            raise refusal(name, "is not supported by this server; leave it out")
    for at, stop in enumerate(body.stop_sequences or ()):
        if not stop:
            raise wrong(f"stop_sequences[{at}]", "must not be empty")


# -- messages ---------------------------------------------------------------


def _messages(body: Counted) -> list[ChatMessage]:
    if not body.messages:
        raise wrong("messages", "must have at least one message")
    reader = _Reader()
    system = texts(body.system or "", "system", ("text",))
    if system:
        reader.say("system", system)
    for at, turn in enumerate(body.messages):
        reader.read(turn, f"messages[{at}]")
    reader.check_answered("messages")
    return reader.messages


class _Reader:
    """Reads turns one after the other; those of one speaker in a row become one message."""

    def __init__(self) -> None:
        self.messages: list[ChatMessage] = []
        self._waiting: dict[str, str] = {}  # names of the calls without a result, by id

    def read(self, turn: Turn, where: str) -> None:
        """Read one."""
        if turn.role == "assistant":
            self.check_answered(where)
            self._answer(turn.content, f"{where}.content")
            return
        place = f"{where}.content"
        said = self._results(turn.content, place) if turn.role == "user" else turn.content
        self.check_answered(where)
        if said or not turn.content:
            self.say(turn.role, texts(said, place, ("text",)))

    def say(self, role: str, text: str) -> None:
        """Text of a user's, or of the system's."""
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == role:
            self.messages[-1] = attrs.evolve(last, content=f"{last.content}\n{text}")
        else:
            self.messages.append(ChatMessage(role=role, content=text))

    def check_answered(self, where: str) -> None:
        """Each call needs a result in the next turn."""
        for name in self._waiting:
            raise wrong(
                where,
                f"there is no tool_result for the tool_use {name!r:.80} in the turn right after "
                "it; add it",
            )

    def _results(
        self, content: str | list[dict[str, Any]], where: str
    ) -> str | list[dict[str, Any]]:
        """Read the results at the beginning of a user's turn; what follows them."""
        if isinstance(content, str):
            return content
        rest: list[dict[str, Any]] = []
        for at, block in enumerate(content):
            place = f"{where}[{at}]"
            if block.get("type") != "tool_result":
                _check_text(block, place)
                rest.append(block)
                continue
            if rest:
                raise wrong(place, "a tool_result must come before the turn's text")
            self._result(converted(block, ToolResultParam, place), place)
        return rest

    def _result(self, result: ToolResultParam, where: str) -> None:
        if result.tool_use_id not in self._waiting:
            raise wrong(
                f"{where}.tool_use_id",
                f"the turn before has no tool_use with the id {result.tool_use_id!r:.80} that "
                "waits for a result",
            )
        text = texts(result.content or "", f"{where}.content", ("text",))
        self.messages.append(
            ChatMessage(
                role="tool",
                content=f"Error: {text}" if result.is_error else text,
                tool_call_id=result.tool_use_id,
                name=self._waiting.pop(result.tool_use_id),
            )
        )

    def _answer(self, content: str | list[dict[str, Any]], where: str) -> None:
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said: list[str] = []
        thoughts: list[str] = []
        calls: list[ToolCall] = []
        for at, block in enumerate(blocks):
            place = f"{where}[{at}]"
            kind = block.get("type")
            if kind == "text":
                said.append(converted(block, TextParam, place).text)
            elif kind == "thinking":
                thoughts.append(converted(block, ThinkingParam, place).thinking)
            elif kind == "tool_use":
                calls.append(self._call(converted(block, ToolUseParam, place), place))
            else:
                raise refusal(
                    f"{place}.type",
                    f"{kind!r:.60} cannot stand here; an answer has: text, thinking or tool_use",
                )
        if not (any(said) or any(thoughts) or calls):
            raise wrong(where, "must not be empty in a turn of the assistant's")
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "assistant":
            self.messages.pop()
            said.insert(0, last.content)
            thoughts.insert(0, last.reasoning)
        self.messages.append(
            ChatMessage(
                role="assistant",
                content="\n".join(filter(None, said)),
                reasoning="\n".join(filter(None, thoughts)),
                tool_calls=tuple(calls),
            )
        )

    def _call(self, call: ToolUseParam, where: str) -> ToolCall:
        if call.id in self._waiting:
            raise wrong(f"{where}.id", f"{call.id!r:.80} is an earlier call's in this turn")
        self._waiting[call.id] = call.name
        arguments = json.dumps(call.input, ensure_ascii=False)
        return dialects.call(f"{where}.input", name=call.name, id=call.id, arguments=arguments)


def _check_text(block: Values, where: str) -> None:
    if block.get("type") != "text":
        raise refusal(
            f"{where}.type",
            f"{block.get('type')!r:.60} cannot stand here; a user's turn has: text or tool_result",
        )
    converted(block, TextParam, where)


# -- what an answer may have ------------------------------------------------


def _rendering(body: Counted) -> dict[str, Any]:
    # Without a word about thinking this interface has none; clients take the first block as text.
    thinking = body.thinking is not None and body.thinking.type != "disabled"
    if body.thinking is not None:
        _check_thinking(body)
    found: dict[str, Any] = {"reasoning": thinking}
    tools = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(body.tools or ())]
    if tools:
        found["tools"] = tools
        found["tool_choice"] = _choice(body, tools)
        choice = body.tool_choice
        found["parallel_tool_calls"] = not (choice and choice.disable_parallel_tool_use)
    elif body.tool_choice is not None and body.tool_choice.type in ("any", "tool"):
        raise wrong("tool_choice", f"is {body.tool_choice.type!r}, but there are no tools")
    config = body.output_config
    if config is not None and config.effort is not None:
        found["template_args"] = {"reasoning_effort": config.effort}
    if config is not None and config.format is not None:
        wanted = {"schema": config.format.schema}
        found["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return found


def _check_thinking(body: Counted) -> None:
    thinking = body.thinking
    assert thinking is not None, "it is looked at where it is there"
    if thinking.type == "enabled" and (thinking.budget_tokens or 0) < 1:
        raise wrong("thinking.budget_tokens", f"must be at least 1, got {thinking.budget_tokens}")
    if thinking.display not in (None, "summarized"):
        raise refusal(
            "thinking.display", f"must be 'summarized' or left out, got {thinking.display!r:.60}"
        )


def _tool(tool: Values, where: str) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        raise refusal(
            f"{where}.type",
            f"{tool.get('type')!r:.60} is no kind of tool that this server has; describe it as a "
            "'custom' one with an input_schema, and call it yourself",
        )
    read = converted(tool, ToolParam, where)
    try:
        check_tool_schema(f"{where}.input_schema", read.input_schema)
    except ParamsError as error:
        raise wrong(f"{where}.input_schema", str(error)) from None
    given = {"name": read.name, "description": read.description, "parameters": read.input_schema}
    return {name: value for name, value in given.items() if value is not None}


def _choice(body: Counted, tools: Sequence[Values]) -> Any:
    choice = body.tool_choice
    if choice is None or choice.type in ("auto", "none"):
        return "auto" if choice is None else choice.type
    if choice.type == "any":
        return "required"
    if all(tool["name"] != choice.name for tool in tools):
        known = ", ".join(repr(tool["name"]) for tool in tools)
        raise wrong(
            "tool_choice.name", f"must name one of the tools ({known}), got {choice.name!r:.60}"
        )
    return {"type": "function", "function": {"name": choice.name}}
