"""From a request of the Responses interface to a conversation, with errors that name the place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from headrace import ChatMessage, ToolCall
from headrace_server.endpoints import dialects
from headrace_server.endpoints.dialects import converted, texts
from headrace_server.endpoints.fields import refusal, wrong
from headrace_server.generation.chats import Asked
from headrace_server.wire.responses import (
    AllowedTools,
    Counted,
    FunctionTool,
    InputCall,
    InputMessage,
    InputReasoning,
    InputResult,
    NamedTool,
    ResponsesRequest,
    Values,
)

NAMES = {
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "template_args": "reasoning.effort",
    "reasoning": "reasoning.effort",
    "logprobs": "top_logprobs",
}
"""What this interface calls otherwise than headrace does."""

_SPOKEN = ("input_text", "output_text", "refusal", "text")
_INCLUDED = ("reasoning.encrypted_content", "message.output_text.logprobs")
_MOST_METADATA, _LONGEST_NAME, _LONGEST_VALUE = 16, 64, 512


def conversation(body: Counted, earlier: Sequence[ChatMessage]) -> list[ChatMessage]:
    """What was said, without the instructions of this request.

    Args:
        body: The request.
        earlier: What was said up to the response that it goes on from.

    Raises:
        ApiError: For an item that is wrong or cannot be had, with its place.
    """
    known = {call.id for each in earlier for call in each.tool_calls}
    said = [*earlier, *_input(body.input, known)]
    if not said:
        raise wrong("input", "must have at least one message")
    _check_answered(said)
    return said


def asked(body: Counted, said: Sequence[ChatMessage]) -> Asked:
    """What a request asks for.

    Args:
        body: The request.
        said: The conversation.

    Raises:
        ApiError: For what is wrong or cannot be had, with its place.
    """
    _check(body)
    if body.instructions:
        said = [ChatMessage(role="system", content=body.instructions), *said]
    whole = body if isinstance(body, ResponsesRequest) else None
    return Asked(
        model=body.model,
        messages=[message.as_dict() for message in said],
        render=_rendering(body),
        sampling=body,
        max_tokens=whole.max_output_tokens if whole else None,
        logprobs=_logprobs(whole) if whole else None,
        schema_field="text.format.schema",
    )


def _check(body: Counted) -> None:
    """Refuse what this server does not do, rather than pass over it."""
    if body.truncation not in (None, "disabled"):
        raise refusal(
            "truncation",
            f"must be 'disabled', got {body.truncation!r:.60}: nothing is cut silently here; send "
            "fewer items",
        )
    if body.conversation is not None:
        raise refusal("conversation", "is not kept here; send previous_response_id")
    if not isinstance(body, ResponsesRequest):
        return
    for name in ("background", "prompt", "max_tool_calls", "context_management", "moderation"):
        if getattr(body, name):
            raise refusal(name, "is not supported by this server; leave it out")
    if body.max_output_tokens is not None and body.max_output_tokens < 1:
        raise wrong("max_output_tokens", f"must be at least 1, got {body.max_output_tokens}")
    for at, name in enumerate(body.include or ()):
        if name not in _INCLUDED:
            allowed = " or ".join(map(repr, _INCLUDED))
            raise refusal(f"include[{at}]", f"must be {allowed}, got {name!r:.60}")
    _check_metadata(body.metadata or {})


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if len(metadata) > _MOST_METADATA:
        raise wrong("metadata", f"may have {_MOST_METADATA} pairs at most, got {len(metadata)}")
    for name, value in metadata.items():
        if len(name) > _LONGEST_NAME or len(value) > _LONGEST_VALUE:
            raise wrong(
                "metadata",
                f"a name may have {_LONGEST_NAME} characters and a value {_LONGEST_VALUE}, got "
                f"{len(name)} and {len(value)} at {name!r:.60}",
            )


def _logprobs(body: ResponsesRequest) -> int | None:
    most = body.top_logprobs
    if most is not None and not 0 <= most <= 20:
        raise wrong("top_logprobs", f"must be 0 to 20, got {most}")
    wanted = "message.output_text.logprobs" in (body.include or ())
    if most and not wanted:
        raise wrong("top_logprobs", "needs 'message.output_text.logprobs' in include")
    return (most or 0) if wanted else None


# -- messages ---------------------------------------------------------------


@attrs.define
class _Turn:
    """An answer of the assistant's, whose parts are items of their own."""

    reasoning: list[str] = attrs.field(factory=list)
    content: str | None = None
    calls: list[ToolCall] = attrs.field(factory=list)

    def message(self) -> ChatMessage | None:
        """It as one message; None where nothing is in it."""
        if not (self.reasoning or self.content is not None or self.calls):
            return None
        return ChatMessage(
            role="assistant",
            content=self.content or "",
            reasoning="\n".join(self.reasoning),
            tool_calls=tuple(self.calls),
        )


class _Reader:
    """Reads items one after the other.

    Args:
        known: Names of the calls that earlier turns made.
    """

    def __init__(self, known: set[str]) -> None:
        self._known = known
        self._names: dict[str, str] = {}
        self._turn = _Turn()
        self.messages: list[ChatMessage] = []

    def end_turn(self) -> None:
        """What follows is not the same answer."""
        message = self._turn.message()
        if message is not None:
            self.messages.append(message)
        self._turn = _Turn()

    def message(self, item: Values, where: str) -> None:
        """A message of anyone's."""
        said = converted(item, InputMessage, where)
        text = texts(said.content, f"{where}.content", _SPOKEN)
        if said.role != "assistant":
            self.end_turn()
            self.messages.append(ChatMessage(role=said.role, content=text))
            return
        if self._turn.content is not None or self._turn.calls:
            self.end_turn()
        self._turn.content = text

    def reasoning(self, item: Values, where: str) -> None:
        """Thoughts: those of the answer that follows."""
        thought = converted(item, InputReasoning, where)
        if self._turn.content is not None or self._turn.calls:
            self.end_turn()
        parts = texts(thought.content or (), f"{where}.content", ("reasoning_text",))
        parts = parts or texts(thought.summary, f"{where}.summary", ("summary_text",))
        if parts:
            self._turn.reasoning.append(parts)

    def function_call(self, item: Values, where: str) -> None:
        """A call of the answer that is being read."""
        call = converted(item, InputCall, where)
        if any(call.call_id == each.id for each in self._turn.calls):
            raise wrong(f"{where}.call_id", f"{call.call_id!r:.80} is another call's already")
        self._known.add(call.call_id)
        self._names[call.call_id] = call.name
        self._turn.calls.append(
            dialects.call(
                f"{where}.arguments", name=call.name, id=call.call_id, arguments=call.arguments
            )
        )

    def function_call_output(self, item: Values, where: str) -> None:
        """What came of a call."""
        result = converted(item, InputResult, where)
        if result.call_id not in self._known:
            raise wrong(
                f"{where}.call_id",
                f"there is no function_call with the call_id {result.call_id!r:.80} before it",
            )
        self.end_turn()
        self.messages.append(
            ChatMessage(
                role="tool",
                content=texts(result.output, f"{where}.output", ("input_text", "output_text")),
                tool_call_id=result.call_id,
                name=self._names.get(result.call_id),
            )
        )


def _input(items: str | Sequence[Values] | None, known: set[str]) -> list[ChatMessage]:
    if items is None:
        return []
    if isinstance(items, str):
        return [ChatMessage(role="user", content=items)]
    reader = _Reader(known)
    readers = {
        "message": reader.message,
        "reasoning": reader.reasoning,
        "function_call": reader.function_call,
        "function_call_output": reader.function_call_output,
    }
    for at, item in enumerate(items):
        kind = item.get("type", "message")
        read = readers.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise refusal(
                f"input[{at}].type",
                f"{kind!r:.60} is not supported; items can be: {', '.join(readers)}",
            )
        read(item, f"input[{at}]")
    reader.end_turn()
    return reader.messages


def _check_answered(messages: Sequence[ChatMessage]) -> None:
    """Each call needs one result, before anyone says something else."""
    waiting: list[str] = []
    for message in messages:
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                raise wrong("input", f"the call {message.tool_call_id!r:.80} has a second output")
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            break
        waiting = [call.id for call in message.tool_calls]
    if waiting:
        raise wrong(
            "input",
            f"there is no function_call_output for the function_call with the call_id "
            f"{waiting[0]!r:.80} right after it; add it",
        )


# -- what an answer may have ------------------------------------------------


def _rendering(body: Counted) -> dict[str, Any]:
    tools = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(body.tools or ())]
    found: dict[str, Any] = {}
    if tools:
        choice, tools = _choice(body.tool_choice, tools)
        parallel = body.parallel_tool_calls is not False
        found.update(tools=tools, tool_choice=choice, parallel_tool_calls=parallel)
    elif body.tool_choice not in (None, "auto", "none"):
        raise wrong(
            "tool_choice", f"there are no tools for {body.tool_choice!r:.80} to choose from"
        )
    effort = body.reasoning.effort if body.reasoning else None
    if effort == "none":
        found["reasoning"] = False
    elif effort is not None:
        found["template_args"] = {"reasoning_effort": effort}
    wanted = _format(body)
    if wanted is not None:
        found["response_format"] = wanted
    return found


def _tool(tool: Values, where: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise refusal(
            f"{where}.type",
            f"{tool.get('type')!r:.60} is no kind of tool that this server has; describe it as a "
            "'function', and call it yourself",
        )
    read = converted(tool, FunctionTool, where)
    given = {"name": read.name, "description": read.description, "parameters": read.parameters}
    return {name: value for name, value in given.items() if value is not None}


def _choice(choice: Any, tools: list[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """The choice in the words of ``Session.chat``, and the tools that it leaves."""
    if choice is None or choice in ("auto", "none", "required"):
        return choice or "auto", tools
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    if kind == "function":
        name = converted(choice, NamedTool, "tool_choice").name
        _named(name, "tool_choice.name", tools)
        return {"type": "function", "function": {"name": name}}, tools
    if kind == "allowed_tools":
        allowed = converted(choice, AllowedTools, "tool_choice")
        kept = [
            _named(each.name, f"tool_choice.tools[{at}].name", tools)
            for at, each in enumerate(allowed.tools)
        ]
        if not kept:
            raise wrong("tool_choice.tools", "must name at least one tool")
        return allowed.mode, kept
    raise wrong(
        "tool_choice",
        "must be 'auto', 'none', 'required', or of type 'function' or 'allowed_tools', got "
        f"{kind!r:.60}",
    )


def _named(name: str, where: str, tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
    for tool in tools:
        if tool["name"] == name:
            return tool
    known = ", ".join(repr(tool["name"]) for tool in tools)
    raise wrong(where, f"must name one of the tools ({known}), got {name!r:.60}")


def _format(body: Counted) -> Any:
    wanted = body.text.format if body.text else None
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return "json_object"
    if wanted.schema is None:
        raise wrong("text.format.schema", "is missing; a format of type 'json_schema' needs it")
    return {"type": "json_schema", "json_schema": {"schema": wanted.schema}}
