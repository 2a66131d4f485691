"""Tools for templates that have none: described in the system message, called in plain text.

What the model is told and what it is read by belong together: ``streams.prompted`` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import attrs

from headrace.requests.chat import ChatRequest
from headrace.results.chat import ChatMessage, Tool, ToolCall

CALL, END_CALL = "<tool_call>", "</tool_call>"
RESULT, END_RESULT = "<tool_response>", "</tool_response>"

_TEXT = """\
# Tools

These functions can be called. Each line describes one; its parameters are a JSON schema:

{tools}

To call a function, write a JSON object with its name and its arguments, between two tags:

{example}

{how} Its result comes in the next message, between {result} and {end_result}."""


def in_prompt(request: ChatRequest) -> ChatRequest:
    """A request without tools, whose messages tell of them and of earlier calls as text."""
    if not request.tools_in_prompt:
        return request
    messages = list(_merged(map(_as_text, request.messages)))
    if request.tools and request.tool_choice != "none":
        messages = _described(messages, _description(request))
    return attrs.evolve(
        request, messages=tuple(messages), tools=(), tool_choice="auto", tools_in_prompt=False
    )


def _description(request: ChatRequest) -> str:
    if request.tool_choice == "required":
        how = "Write nothing but one such call."
    elif request.parallel_tool_calls:
        how = "Write one or several calls, and nothing after them; without need, write none."
    else:
        how = "Write one call and nothing after it; without need, write none."
    example = f'{CALL}{{"name": "…", "arguments": {{…}}}}{END_CALL}'
    if request.tool_choice == "required":
        example = example.removeprefix(CALL).removesuffix(END_CALL)
    tools = "\n".join(map(_line, request.tools))
    text = _TEXT.format(tools=tools, example=example, how=how, result=RESULT, end_result=END_RESULT)
    return text.replace(", between two tags", "") if request.tool_choice == "required" else text


def _line(tool: Tool) -> str:
    told = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return json.dumps({name: value for name, value in told.items() if value}, ensure_ascii=False)


def _described(messages: list[ChatMessage], description: str) -> list[ChatMessage]:
    first = messages[0]
    if first.role not in ("system", "developer"):
        return [ChatMessage(role="system", content=description), *messages]
    return [attrs.evolve(first, content=f"{first.content}\n\n{description}"), *messages[1:]]


def _as_text(message: ChatMessage) -> ChatMessage:
    if message.role == "tool":
        return ChatMessage(role="user", content=f"{RESULT}\n{message.content}\n{END_RESULT}")
    if not message.tool_calls:
        return message
    parts = [message.content, *map(_call, message.tool_calls)]
    return attrs.evolve(message, content="\n".join(filter(None, parts)), tool_calls=())


def _call(call: ToolCall) -> str:
    return f'{CALL}{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}{END_CALL}'


def _merged(messages: Iterable[ChatMessage]) -> Iterator[ChatMessage]:
    """With what a user says in turn as one message: templates want roles to take turns."""
    held: ChatMessage | None = None
    for message in messages:
        if held is not None and held.role == message.role == "user":
            held = attrs.evolve(held, content=f"{held.content}\n\n{message.content}")
            continue
        if held is not None:
            yield held
        held = message
    if held is not None:
        yield held
