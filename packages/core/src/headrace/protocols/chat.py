"""Tier 2's optional protocol for chat: a ``DecoderModel`` that renders messages and reads answers.

``EngineModel`` makes ``session.chat`` out of it. Requests are checked before they
get here; what a backend refuses beyond that is its own error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import attrs

from headrace.chat.types import ChatMessage, Tool
from headrace.grammar import Gbnf, Lazy


@attrs.frozen(kw_only=True)
class ChatRequest:
    """A conversation to be answered, all of it validated."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """``auto``, ``required`` or ``none``; a tool asked for by name is the only one, required."""
    parallel_tool_calls: bool = False
    """Whether one answer may call several tools."""
    json_schema: str | None = None
    """JSON schema that the answer's content keeps to, as JSON."""
    template: str | None = None
    """Source of a template to use instead of the model's own."""
    thinking: bool = True
    """Whether the model may think before it answers, where its template has that."""
    template_args: Mapping[str, Any] = attrs.field(factory=dict)
    """Further variables of the template; JSON values."""


class ChatParser(Protocol):
    """Reads the answers to one rendered request. One thread at a time.

    One that asks another process or machine has an ``async def aside(work)`` too: it calls
    ``work``, which parses, where that blocks no event loop.
    """

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """What the model wrote, as a message of the assistant's.

        A longer part of the same text gives a message that begins with that of the shorter
        part; ids of tool calls may be empty.

        Args:
            text: All of it so far.
            partial: Whether more may come.

        Raises:
            ChatParseError: If it is not in the format of the template.
        """
        ...


@attrs.frozen(kw_only=True)
class RenderedChat:
    """A request as the model sees it."""

    prompt: str
    """The text to run, without the special tokens that tokenizing adds by itself."""
    parser: ChatParser
    """Reads what the model writes next."""
    grammar: Gbnf | Lazy | None = None
    """What keeps the answer in the template's format."""
    stops: tuple[str, ...] = ()
    """Strings that end the answer."""
    spoken: tuple[str, ...] = ()
    """Texts of control tokens that belong to the answer: the parser needs to see them."""


@runtime_checkable
class ChatFormatter(Protocol):
    """A model that has a chat template or can use one. Thread-safe."""

    def render_chat(self, request: ChatRequest) -> RenderedChat:
        """Render a conversation.

        Raises:
            TemplateError: If there is no template, or it cannot be parsed or rendered.
            UnsupportedError: If the library was built without its template engine.
        """
        ...
