"""A conversation to be answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import attrs

from headrace.params import SamplingParams
from headrace.requests.generation import GenerationRequest

if TYPE_CHECKING:
    from headrace.results.chat import ChatMessage, Tool

Messages = Sequence["ChatMessage | Mapping[str, Any]"]
Tools = Sequence["Tool | Mapping[str, Any]"]


class RenderKeywords(TypedDict, total=False):
    """What says how a conversation is rendered; see ``Session.chat``."""

    tools: Tools
    tool_choice: str | Mapping[str, Any]
    parallel_tool_calls: bool
    tools_in_prompt: bool
    response_format: str | Mapping[str, Any] | None
    template: str | None
    reasoning: bool
    template_args: Mapping[str, Any] | None


class ChatKeywords(RenderKeywords, total=False):
    """The same, and how it is answered."""

    sampling: SamplingParams | None
    max_tokens: int | None
    stop: Sequence[str] | str
    timeout: float | None


@attrs.frozen(kw_only=True)
class ChatRequest(GenerationRequest):
    """A conversation to be answered, all of it validated; see ``requests.conversation``."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """``auto``, ``required`` or ``none``; a tool asked for by name is the only one, required."""
    parallel_tool_calls: bool = False
    """Whether one answer may call several tools."""
    tools_in_prompt: bool = False
    """Whether tools are described in the system message, and calls read in the answer's text."""
    json_schema: str | None = None
    """JSON schema that the answer's content keeps to, as JSON."""
    template: str | None = None
    """Source of a template to use instead of the model's own."""
    thinking: bool = True
    """Whether the model may think before it answers, where its template has that."""
    template_args: Mapping[str, Any] = attrs.field(factory=dict)
    """Further variables of the template; JSON values."""
