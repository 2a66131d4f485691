"""Conversations to render: what people say, what they leave out, and tools in all stages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from headrace import ChatMessage, Tool, ToolCall


@attrs.frozen(kw_only=True)
class Conversation:
    """What is rendered."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[Tool, ...] = ()
    template_args: Mapping[str, Any] = attrs.field(factory=dict)
    reasoning: bool = True


def _user(content: str) -> ChatMessage:
    return ChatMessage(role="user", content=content)


def _says(content: str, reasoning: str = "") -> ChatMessage:
    return ChatMessage(role="assistant", content=content, reasoning=reasoning)


def _calls(*calls: tuple[str, str, Mapping[str, Any]], content: str = "") -> ChatMessage:
    return ChatMessage(
        role="assistant",
        content=content,
        tool_calls=tuple(
            ToolCall(id=number, name=name, arguments=json.dumps(arguments, ensure_ascii=False))
            for number, name, arguments in calls
        ),
    )


def _result(number: str, name: str, content: str) -> ChatMessage:
    return ChatMessage(role="tool", tool_call_id=number, name=name, content=content)


def _tool(name: str, description: str, required: list[str], **properties: Any) -> Tool:
    return Tool(
        name=name,
        description=description,
        parameters={"type": "object", "properties": properties, "required": required},
    )


SYSTEM = ChatMessage(role="system", content="Be brief.")
ASKED = _user("Is it raining in Paris?")
SCRIPTS = "Größe “日本語” \u200f שלום\u00a0🌧️ 👩\u200d👧"
WEATHER = _tool(
    "get_weather",
    "The weather of a city.",
    ["city"],
    city={"type": "string", "description": "Its name, <b>as written</b> & 'there'"},
    days={"type": "integer", "minimum": 1},
)
TIME = _tool("get_time", "The time of a place.", [], zone={"type": "string", "enum": ["CET", "Z"]})
SEARCH = _tool(
    "search",
    "Finds “pages”.",
    ["query"],
    query={"type": "string"},
    filters={
        "type": "object",
        "properties": {"sites": {"type": "array", "items": {"type": "string"}}},
    },
    newest={"type": ["boolean", "null"], "default": False},
)
NUMBERS = _tool(
    "scale",
    "",
    ["by"],
    by={"type": "number", "minimum": 0.0, "maximum": 1e20, "multipleOf": 1234567.891},
    to={"type": "integer", "maximum": 2**53 + 1, "enum": [1, -2, 3]},
    any_={"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
)
# Nine characters, which some templates insist on.
FIRST = ("abcdefghi", "get_weather", {"city": "Paris", "days": 2})
SECOND = ("jklmnopqr", "get_time", {"zone": "CET"})

CONVERSATIONS: Mapping[str, Conversation] = {
    "one": Conversation(messages=(ASKED,)),
    "system": Conversation(messages=(SYSTEM, ASKED)),
    "turns": Conversation(messages=(SYSTEM, ASKED, _says("It is."), _user("And in Rome?"))),
    "empty": Conversation(messages=(_user(""), _says(""), _user("Well?"))),
    "scripts": Conversation(
        messages=(_user(f"{SCRIPTS} <&> 'a' \"b\" \\n {{{{ x }}}} {{% y %}}"),)
    ),
    "space": Conversation(
        messages=(
            ChatMessage(role="system", content="\n Be brief. \n"),
            _user("  Hello\t\n\n"),
            _says("\n\n Yes.  "),
            _user("\r\n line\n\n  next \n"),
        )
    ),
    "thoughts": Conversation(
        messages=(
            SYSTEM,
            ASKED,
            _says("It is.", "It is autumn.\nSo it rains."),
            _user("Are you sure?"),
        )
    ),
    "silent": Conversation(messages=(SYSTEM, ASKED), reasoning=False),
    "arguments": Conversation(
        messages=(SYSTEM, ASKED),
        template_args={"enable_thinking": False, "reasoning_effort": "low", "thinking": True},
    ),
    "tool": Conversation(messages=(SYSTEM, ASKED), tools=(WEATHER,)),
    "tools": Conversation(messages=(ASKED,), tools=(WEATHER, TIME, SEARCH)),
    "called": Conversation(
        messages=(
            SYSTEM,
            ASKED,
            _calls(FIRST),
            _result("abcdefghi", "get_weather", '{"rain": true, "°C": 11.5}'),
        ),
        tools=(WEATHER,),
    ),
    "answered": Conversation(
        messages=(
            ASKED,
            _calls(FIRST),
            _result("abcdefghi", "get_weather", "rain"),
            _says("It is."),
            _user("Thanks!"),
        ),
        tools=(WEATHER, TIME),
    ),
    "parallel": Conversation(
        messages=(
            ASKED,
            _calls(FIRST, SECOND),
            _result("abcdefghi", "get_weather", "rain"),
            _result("jklmnopqr", "get_time", "12:00"),
        ),
        tools=(WEATHER, TIME, SEARCH),
    ),
    "nested": Conversation(
        messages=(
            ASKED,
            _calls(
                (
                    "abcdefghi",
                    "search",
                    {
                        "query": "Größe \"x\" <&>\n'y'",
                        "filters": {"sites": ["a.example", "b.example"]},
                        "newest": None,
                        "limit": 1.5,
                        "deep": True,
                    },
                ),
                content="One moment.",
            ),
            _result("abcdefghi", "search", ""),
        ),
        tools=(SEARCH,),
    ),
    "reasoned": Conversation(
        messages=(
            SYSTEM,
            ASKED,
            attrs.evolve(_calls(FIRST), reasoning="I look it up."),
            _result("abcdefghi", "get_weather", "rain"),
        ),
        tools=(WEATHER,),
    ),
    "numbers": Conversation(
        messages=(
            ASKED,
            _calls(
                (
                    "abcdefghi",
                    "scale",
                    {"by": 0.1, "to": 2**53 + 1, "a": 1.0, "b": 1e-7, "c": 1732795200.123},
                )
            ),
            _result("abcdefghi", "scale", "1e20"),
        ),
        tools=(NUMBERS,),
    ),
    "bare": Conversation(
        messages=(
            ASKED,
            _calls(("abcdefghi", "get_time", {})),
            _result("abcdefghi", "get_time", "12:00"),
            _says("Noon.", "It is 12."),
            _user("And now?"),
        ),
        tools=(
            TIME,
            Tool(name="bare", description="", parameters={"type": "object", "properties": {}}),
        ),
    ),
}
