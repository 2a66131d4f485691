"""OpenAI's Responses interface: https://platform.openai.com/docs/api-reference/responses."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from headrace_server.wire.chat import TokenLogprob
from headrace_server.wire.sampling import Sampling

Values = Mapping[str, Any]


def new_id(kind: str) -> str:
    """An id that nobody can guess.

    Args:
        kind: What it begins with: ``resp``, ``msg``, ``rs`` or ``fc``.
    """
    return f"{kind}_{secrets.token_hex(24)}"


class Format(msgspec.Struct, kw_only=True):
    """What the text is to be."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class TextConfig(msgspec.Struct, kw_only=True):
    """How the answer's text is to be."""

    format: Format | None = None
    verbosity: str | None = None


class ReasoningConfig(msgspec.Struct, kw_only=True):
    """How the model is to think."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: str | None = None
    generate_summary: str | None = None


class StreamOptions(msgspec.Struct, kw_only=True):
    """What a stream has beside its events."""

    include_obfuscation: bool | None = None


class Counted(Sampling, kw_only=True):
    """``POST /v1/responses/input_tokens``: what decides how long the input is."""

    model: str | None = None
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    truncation: str | None = None
    conversation: Any = None


class ResponsesRequest(Counted, kw_only=True):
    """``POST /v1/responses``."""

    max_output_tokens: int | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    background: bool | None = None
    prompt: Any = None
    max_tool_calls: int | None = None
    context_management: Any = None
    moderation: Any = None


class InputMessage(msgspec.Struct, kw_only=True):
    """A message of the input; its ``type`` may be left out."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[dict[str, Any]]


class InputCall(msgspec.Struct, kw_only=True):
    """A call of an earlier answer."""

    call_id: str
    name: str
    arguments: str


class InputResult(msgspec.Struct, kw_only=True):
    """What came of a call."""

    call_id: str
    output: str | list[dict[str, Any]]


class InputReasoning(msgspec.Struct, kw_only=True):
    """Thoughts of an earlier answer."""

    summary: list[dict[str, Any]] = []
    content: list[dict[str, Any]] | None = None


class FunctionTool(msgspec.Struct, kw_only=True):
    """A function that the model may ask to be called."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedTool(msgspec.Struct, kw_only=True):
    """A choice of a certain tool."""

    name: str


class AllowedTools(msgspec.Struct, kw_only=True):
    """A choice among some of the tools."""

    mode: Literal["auto", "required"]
    tools: list[NamedTool]


class OutputText(msgspec.Struct, tag="output_text", kw_only=True):
    """Text of a message."""

    text: str = ""
    annotations: list[Any] = []
    logprobs: list[TokenLogprob] = []


class ReasoningText(msgspec.Struct, tag="reasoning_text", kw_only=True):
    """Text of thoughts."""

    text: str = ""


class Message(msgspec.Struct, tag="message", kw_only=True):
    """What the model says."""

    id: str
    status: str = "in_progress"
    role: str = "assistant"
    content: list[OutputText] = msgspec.field(default_factory=list)
    unread: bool | msgspec.UnsetType = msgspec.UNSET
    """True where the text has what looks like a call of a tool and could not be read as one."""
    note: str | msgspec.UnsetType = msgspec.UNSET


class Reasoning(msgspec.Struct, tag="reasoning", kw_only=True):
    """What the model thinks first."""

    id: str
    status: str = "in_progress"
    summary: list[Any] = []
    content: list[ReasoningText] = msgspec.field(default_factory=list)
    encrypted_content: str | None = None


class FunctionCall(msgspec.Struct, tag="function_call", kw_only=True):
    """A call that the model wants made."""

    id: str
    call_id: str
    name: str
    arguments: str = ""
    status: str = "in_progress"


Item = Message | Reasoning | FunctionCall


class InputDetails(msgspec.Struct, kw_only=True):
    """What was in memory of the input."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(msgspec.Struct, kw_only=True):
    """What the output was for."""

    reasoning_tokens: int = 0


class Usage(msgspec.Struct, kw_only=True):
    """Tokens."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class Response(msgspec.Struct, tag="response", tag_field="object", kw_only=True):
    """The whole of it; what the request said stands in it again."""

    id: str = msgspec.field(default_factory=lambda: new_id("resp"))
    created_at: int = msgspec.field(default_factory=lambda: int(time.time()))
    completed_at: int | None = None
    status: str = "in_progress"
    background: bool = False
    error: Values | None = None
    incomplete_details: Values | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    metadata: Mapping[str, str] = {}
    model: str
    output: list[Item] = msgspec.field(default_factory=list)
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    reasoning: Values = {}
    safety_identifier: str | None = None
    service_tier: str = "default"
    store: bool = True
    temperature: float
    text: Values = {}
    tool_choice: Any = "auto"
    tools: list[Values] = msgspec.field(default_factory=list)
    top_logprobs: int = 0
    top_p: float
    truncation: str = "disabled"
    usage: Usage | None = None
    user: str | None = None
