"""Anthropic's interface: https://docs.anthropic.com/en/api/messages."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from headrace_server.wire.sampling import Sampling

Values = Mapping[str, Any]


def new_id() -> str:
    """An id for a message that nobody can guess."""
    return f"msg_{secrets.token_hex(12)}"


# -- requests ---------------------------------------------------------------


class Turn(msgspec.Struct, kw_only=True):
    """A message of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[dict[str, Any]]


class Format(msgspec.Struct, kw_only=True):
    """What the text is to be."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(msgspec.Struct, kw_only=True):
    """How the answer is to be."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: Format | None = None


class Thinking(msgspec.Struct, kw_only=True):
    """Whether the model may think first."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: int | None = None
    display: str | None = None


class ToolChoice(msgspec.Struct, kw_only=True):
    """Which tools the model may or must call."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Counted(Sampling, kw_only=True):
    """``POST /v1/messages/count_tokens``: what decides how long the input is."""

    messages: list[Turn]
    model: str | None = None
    system: str | list[dict[str, Any]] | None = None
    thinking: Thinking | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: ToolChoice | None = None
    output_config: OutputConfig | None = None


class MessagesRequest(Counted, kw_only=True):
    """``POST /v1/messages``."""

    max_tokens: int
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    container: Any = None
    mcp_servers: Any = None
    context_management: Any = None


class ToolParam(msgspec.Struct, kw_only=True):
    """A tool that the client has."""

    name: str
    input_schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class TextParam(msgspec.Struct, kw_only=True):
    """Text of a turn."""

    text: str


class ThinkingParam(msgspec.Struct, kw_only=True):
    """Thoughts of an earlier answer."""

    thinking: str


class ToolUseParam(msgspec.Struct, kw_only=True):
    """A call of an earlier answer."""

    id: str
    name: str
    input: dict[str, Any]


class ToolResultParam(msgspec.Struct, kw_only=True):
    """What came of a call."""

    tool_use_id: str
    content: str | list[dict[str, Any]] | None = None
    is_error: bool | None = None


# -- answers ----------------------------------------------------------------


class Text(msgspec.Struct, tag="text", kw_only=True):
    """What the model says."""

    text: str = ""
    citations: None = None
    unread: bool | msgspec.UnsetType = msgspec.UNSET
    """True where the text has what looks like a call of a tool and could not be read as one."""
    note: str | msgspec.UnsetType = msgspec.UNSET


class Thought(msgspec.Struct, tag="thinking", kw_only=True):
    """What the model thinks."""

    thinking: str = ""
    signature: str = ""
    """Nothing is signed here."""


class ToolUse(msgspec.Struct, tag="tool_use", kw_only=True):
    """A call that the model wants made."""

    id: str
    name: str
    input: Values = {}


Block = Text | Thought | ToolUse


class OutputDetails(msgspec.Struct, kw_only=True):
    """What the output was for."""

    thinking_tokens: int = 0


class Usage(msgspec.Struct, kw_only=True):
    """Tokens; ``input_tokens`` are those that were not in memory."""

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0
    output_tokens_details: OutputDetails = msgspec.field(default_factory=OutputDetails)


class Message(msgspec.Struct, tag="message", kw_only=True):
    """An answer."""

    id: str = msgspec.field(default_factory=new_id)
    role: str = "assistant"
    model: str
    content: list[Block] = msgspec.field(default_factory=list)
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage = msgspec.field(default_factory=Usage)


# -- events -----------------------------------------------------------------


class TextDelta(msgspec.Struct, tag="text_delta", kw_only=True):
    """New text."""

    text: str


class ThinkingDelta(msgspec.Struct, tag="thinking_delta", kw_only=True):
    """New thoughts."""

    thinking: str


class SignatureDelta(msgspec.Struct, tag="signature_delta", kw_only=True):
    """The end of thoughts."""

    signature: str = ""


class InputJsonDelta(msgspec.Struct, tag="input_json_delta", kw_only=True):
    """New text of a call's input."""

    partial_json: str


Delta = TextDelta | ThinkingDelta | SignatureDelta | InputJsonDelta


class MessageStart(msgspec.Struct, tag="message_start", kw_only=True):
    """The first."""

    message: Message


class Ping(msgspec.Struct, tag="ping", kw_only=True):
    """Says nothing."""


class BlockStart(msgspec.Struct, tag="content_block_start", kw_only=True):
    """A block begins."""

    index: int
    content_block: Block


class BlockDelta(msgspec.Struct, tag="content_block_delta", kw_only=True):
    """Something new of a block."""

    index: int
    delta: Delta


class BlockStop(msgspec.Struct, tag="content_block_stop", kw_only=True):
    """A block is whole."""

    index: int


class End(msgspec.Struct, kw_only=True):
    """Why the answer has ended."""

    stop_reason: str | None
    stop_sequence: str | None


class MessageDelta(msgspec.Struct, tag="message_delta", kw_only=True):
    """The end, with all that was counted."""

    delta: End
    usage: Usage
    unread: bool | msgspec.UnsetType = msgspec.UNSET
    """True where a text has what looks like a call of a tool and could not be read as one."""
    note: str | msgspec.UnsetType = msgspec.UNSET


class MessageStop(msgspec.Struct, tag="message_stop", kw_only=True):
    """The last."""


Event = MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop


class ErrorDetail(msgspec.Struct, kw_only=True):
    """What went wrong."""

    type: str
    message: str
    code: str
    param: str | None = None


class ErrorBody(msgspec.Struct, tag="error", kw_only=True):
    """An error, as a body and as an event."""

    error: ErrorDetail
