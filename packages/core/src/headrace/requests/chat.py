"""A conversation to be answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from headrace.results.chat import ChatMessage, Tool


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
