"""The keywords of ``chat``, named once for all the methods that pass them on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from headrace.params import SamplingParams
from headrace.results.chat import ChatMessage, Tool

Prompt = str | Sequence[int] | None
Texts = str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]
Messages = Sequence[ChatMessage | Mapping[str, Any]]
Tools = Sequence[Tool | Mapping[str, Any]]


class RenderKeywords(TypedDict, total=False):
    """What says how a conversation is rendered; see ``Session.chat``."""

    tools: Tools
    tool_choice: str | Mapping[str, Any]
    parallel_tool_calls: bool
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
