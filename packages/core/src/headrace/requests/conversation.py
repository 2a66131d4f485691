"""Checks of what callers pass to ``chat``, in headrace's types or in the shape of OpenAI's API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import attrs

from headrace.common.quotes import shown
from headrace.errors import ChatParseError, ParamsError
from headrace.grammar import JsonSchema
from headrace.params import check_names
from headrace.requests.chat import ChatRequest
from headrace.requests.tool_schemas import check_tool_schema
from headrace.results.chat import ChatMessage, Tool, ToolCall

_T = TypeVar("_T")

_MESSAGE_NAMES = (
    *("role", "content", "name", "tool_calls", "tool_call_id"),
    *("reasoning", "reasoning_content"),
)
_NOT_READ = ("refusal", "annotations", "audio", "function_call")
"""Fields of OpenAI's answers that may come back empty."""
_CHOICES = ("auto", "none", "required")
_FORMATS = ("text", "json_object", "json_schema")
_ANY_OBJECT = {"type": "object"}


def check_chat(
    messages: Any,
    *,
    tools: Any = (),
    tool_choice: Any = "auto",
    parallel_tool_calls: Any = False,
    tools_in_prompt: Any = False,
    response_format: Any = None,
    template: Any = None,
    reasoning: Any = True,
    template_args: Any = None,
    **generation: Any,
) -> ChatRequest:
    """A validated request.

    Args:
        messages: The conversation.
        tools: See ``Session.chat``, also for the others.
        tool_choice: Which of them.
        parallel_tool_calls: Whether several at once.
        tools_in_prompt: Whether they are described without the template.
        response_format: What the answer is to be.
        template: Instead of the model's own.
        reasoning: Whether the model may think.
        template_args: Variables of the template.
        generation: Fields of ``GenerationRequest``.

    Raises:
        ParamsError: For the first thing that is wrong, naming the message and the field.
    """
    offered = _tools(tools)
    choice, offered = _tool_choice(tool_choice, offered)
    if not isinstance(parallel_tool_calls, bool):
        raise ParamsError(f"parallel_tool_calls must be True or False, got {parallel_tool_calls!r}")
    if not isinstance(tools_in_prompt, bool):
        raise ParamsError(
            f"tools_in_prompt must be True or False, got {tools_in_prompt!r:.60}",
            hint="True describes the tools in the system message, for a template that has none.",
        )
    if tools_in_prompt and offered and choice != "none" and _json_schema(response_format):
        raise ParamsError(
            "response_format must be None beside tools_in_prompt: an answer is kept to a schema, "
            "or may have calls",
            hint="Leave out one of them, or pass tool_choice='none'.",
        )
    if not isinstance(reasoning, bool):
        raise ParamsError(
            f"reasoning must be True or False, got {reasoning!r:.60}",
            hint="False asks the model not to think before it answers.",
        )
    return ChatRequest(
        messages=_messages(messages),
        tools=offered,
        tool_choice=choice,
        parallel_tool_calls=parallel_tool_calls,
        tools_in_prompt=tools_in_prompt,
        json_schema=_json_schema(response_format),
        template=_template(template),
        thinking=reasoning,
        template_args=_template_args(template_args),
        **generation,
    )


def _messages(messages: Any) -> tuple[ChatMessage, ...]:
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise ParamsError(
            f"messages must be a sequence of messages, got {messages!r:.60}",
            hint='One message is [{"role": "user", "content": "…"}].',
        )
    found = tuple(_message(f"messages[{index}]", each) for index, each in enumerate(messages))
    if not found:
        raise ParamsError("messages must not be empty")
    return found


def _message(where: str, message: Any) -> ChatMessage:
    found = message if isinstance(message, ChatMessage) else _from_dict(where, message)
    _check_role(where, found)
    if not found.tool_calls:
        return found
    calls = [_whole(f"{where}.tool_calls[{i}]", each) for i, each in enumerate(found.tool_calls)]
    return attrs.evolve(found, tool_calls=tuple(calls))


def _whole(where: str, call: ToolCall) -> ToolCall:
    """A call with arguments that a template can show.

    Templates read them as JSON or write them as they are: what is cut off would end in an error of
    one template's, and in a prompt that misleads the model with another.
    """
    try:
        call.parsed()
    except ChatParseError:
        raise ParamsError(
            f"{where}.arguments must be a JSON object, got {shown(call.arguments)}",
            hint="A call of an answer that was cut short is not whole: leave it out of the "
            "history, or give it the arguments '{}'.",
        ) from None
    return attrs.evolve(call, arguments=call.arguments.strip() or "{}", problems=None)


def _check_role(where: str, message: ChatMessage) -> None:
    """Refuse what only messages of another role have."""
    if message.role != "assistant" and (message.tool_calls or message.reasoning):
        field = "tool_calls" if message.tool_calls else "reasoning"
        raise ParamsError(
            f"{where}.{field} must be empty in a message whose role is {message.role!r}",
            hint="Only an assistant calls tools and thinks.",
        )
    if message.role != "tool" and message.tool_call_id is not None:
        raise ParamsError(
            f"{where}.tool_call_id must be None in a message whose role is {message.role!r}",
            hint="The answer to a call has the role 'tool'.",
        )


def _from_dict(where: str, message: Any) -> ChatMessage:
    values = _mapping(where, message, "a ChatMessage or a dict")
    values = {name: value for name, value in values.items() if name not in _NOT_READ or value}
    check_names(where, values, _MESSAGE_NAMES)
    if "role" not in values:
        raise ParamsError(f"{where} has no role", hint="Add one, such as 'user'.")
    if "reasoning_content" in values:
        values["reasoning"] = values.pop("reasoning_content") or ""
    content = values.get("content")
    if content is None and not values.get("tool_calls"):
        raise ParamsError(
            f"{where}.content is missing",
            hint="Only an assistant's message with tool_calls may be without.",
        )
    values["content"] = _content(f"{where}.content", content)
    calls = values.get("tool_calls") or ()
    if isinstance(calls, (str, Mapping)) or not isinstance(calls, Iterable):
        raise ParamsError(f"{where}.tool_calls must be a sequence of calls, got {calls!r:.60}")
    values["tool_calls"] = tuple(
        _call(f"{where}.tool_calls[{index}]", call) for index, call in enumerate(calls)
    )
    return _made(where, ChatMessage, values)


def _content(where: str, content: Any) -> Any:
    """A text, or OpenAI's list of parts as one text."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, (bytes, Mapping)) or not isinstance(content, Iterable):
        raise ParamsError(f"{where} must be a str or a sequence of parts, got {content!r:.60}")
    texts = []
    for index, part in enumerate(content):
        values = _mapping(f"{where}[{index}]", part, "a dict")
        if values.get("type") != "text" or not isinstance(values.get("text"), str):
            raise ParamsError(
                f"{where}[{index}] must be of type 'text' and have a text, got {part!r:.60}",
                hint="Parts of other kinds, such as images, are not supported in messages.",
            )
        texts.append(values["text"])
    return "\n".join(texts)


def _call(where: str, call: Any) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    values = _mapping(where, call, "a ToolCall or a dict")
    check_names(where, values, ("id", "type", "index", "function"))
    function = _mapping(f"{where}.function", values.get("function"), "a dict")
    check_names(f"{where}.function", function, ("name", "arguments"))
    if "name" not in function:
        raise ParamsError(f"{where}.function has no name")
    arguments = function.get("arguments")
    if isinstance(arguments, Mapping):
        arguments = _as_json(f"{where}.function.arguments", arguments, ensure_ascii=False)
    return _made(
        where,
        ToolCall,
        {"id": values.get("id") or "", "name": function["name"], "arguments": arguments},
    )


def _tools(tools: Any) -> tuple[Tool, ...]:
    if isinstance(tools, (str, Mapping, Tool)) or not isinstance(tools, Iterable):
        if tools is None:
            return ()
        raise ParamsError(f"tools must be a sequence of tools, got {tools!r:.60}")
    found = tuple(_tool(f"tools[{index}]", tool) for index, tool in enumerate(tools))
    for index, tool in enumerate(found):
        check_tool_schema(f"tools[{index}].parameters", tool.parameters)
    names = [tool.name for tool in found]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ParamsError(f"tools[{index}].name is {name!r}, and so is an earlier tool's")
    return found


def _tool(where: str, tool: Any) -> Tool:
    if isinstance(tool, Tool):
        return tool
    values = _mapping(where, tool, "a Tool or a dict")
    if "function" in values:
        check_names(where, values, ("type", "function"))
        where = f"{where}.function"
        values = _mapping(where, values["function"], "a dict")
        values.pop("strict", None)
    check_names(where, values, ("name", "description", "parameters"))
    if "name" not in values:
        raise ParamsError(f"{where} has no name")
    given = {name: value for name, value in values.items() if value is not None}
    return _made(where, Tool, given)


def _tool_choice(choice: Any, tools: tuple[Tool, ...]) -> tuple[str, tuple[Tool, ...]]:
    """The choice as one of three words, and the tools that it leaves."""
    if isinstance(choice, Mapping):
        function = choice.get("function")
        choice = function.get("name") if isinstance(function, Mapping) else None
        named = [tool for tool in tools if tool.name == choice]
        if not named:
            names = ", ".join(repr(tool.name) for tool in tools) or "none"
            raise ParamsError(
                f"tool_choice must name one of the tools ({names}), got {choice!r:.60}",
                hint='A tool is named so: {"type": "function", "function": {"name": "…"}}.',
            )
        return "required", tuple(named)
    if choice not in _CHOICES:
        raise ParamsError(
            f"tool_choice must be 'auto', 'none', 'required' or a dict, got {choice!r:.60}"
        )
    if choice == "required" and not tools:
        raise ParamsError("tool_choice is 'required', but there are no tools")
    return choice, tools


def _json_schema(wanted: Any) -> str | None:
    """The schema that a ``response_format`` asks for, as JSON."""
    if wanted is None or wanted == "text":
        return None
    if wanted == "json_object":
        wanted = {"type": "json_object"}
    if not isinstance(wanted, Mapping):
        raise ParamsError(
            f"response_format must be None, 'text', 'json_object' or a dict, got {wanted!r:.60}",
            hint='A schema is given so: {"type": "json_schema", "json_schema": {"schema": …}}.',
        )
    kind = wanted.get("type")
    if kind not in _FORMATS:
        raise ParamsError(
            f"response_format['type'] must be one of {', '.join(map(repr, _FORMATS))}, "
            f"got {kind!r:.60}"
        )
    if kind == "text":
        return None
    schema: Any = wanted.get("schema", _ANY_OBJECT)
    if kind == "json_schema":
        inner = _mapping("response_format['json_schema']", wanted.get("json_schema"), "a dict")
        schema = inner.get("schema")
    text = _as_json("response_format's schema", _mapping("response_format's schema", schema))
    # What is no schema is said here, with its place; a backend may know fewer keywords than this.
    JsonSchema(text, strict=False)
    return text


def _template(template: Any) -> str | None:
    if template is None:
        return None
    if not (isinstance(template, str) and template.strip()):
        raise ParamsError(f"template must be the source of a template, got {template!r:.60}")
    if "\0" in template:
        raise ParamsError(f"template has a NUL character at index {template.index(chr(0))}")
    _check_text("template", template)
    return template


def _template_args(values: Any) -> dict[str, Any]:
    if values is None:
        return {}
    found: dict[Any, Any] = _mapping("template_args", values)
    for name in found:
        if not (isinstance(name, str) and name.isidentifier()):
            raise ParamsError(f"template_args must have names as keys, got {name!r:.60}")
    _as_json("template_args", found)
    return found


def _as_json(where: str, value: Any, *, ensure_ascii: bool = True) -> str:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=ensure_ascii)
    except (TypeError, ValueError, RecursionError) as error:
        raise ParamsError(f"{where} cannot be written as JSON: {error}") from None
    return text


def _check_text(where: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ParamsError(f"{where} has a lone surrogate at index {error.start}") from None


def _mapping(where: str, value: Any, allowed: str = "a dict") -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise ParamsError(f"{where} must be {allowed}, got {value!r:.60}")
    return dict(value)


def _made(where: str, kind: type[_T], values: dict[str, Any]) -> _T:
    """An object of headrace's; an error names the place in the request."""
    try:
        return kind(**values)
    except ParamsError as error:
        told = error.message.removeprefix(f"{kind.__name__}.")
        raise ParamsError(f"{where}.{told}", hint=error.hint) from None
