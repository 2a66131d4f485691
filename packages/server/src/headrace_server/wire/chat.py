"""Chat completions: https://platform.openai.com/docs/api-reference/chat."""

from __future__ import annotations

from typing import Any

import msgspec

from headrace_server.wire.common import Timings, Usage
from headrace_server.wire.sampling import Sampling


class ContentPart(msgspec.Struct):
    """A part of a message's content."""

    type: str
    text: str | None = None


class FunctionCall(msgspec.Struct):
    """A call that an assistant wanted made."""

    name: str
    arguments: str | dict[str, Any] | None = None


class MessageCall(msgspec.Struct):
    """The same, with its name in the conversation."""

    function: FunctionCall
    id: str | None = None
    type: str = "function"


class Message(msgspec.Struct):
    """One turn of the conversation."""

    role: str
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[MessageCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None

    def for_headrace(self) -> dict[str, Any]:
        """The message as ``session.chat`` takes it."""
        content: Any = self.content
        if isinstance(content, list):
            content = [{"type": part.type, "text": part.text} for part in content]
        if content is None and self.role == "assistant":
            content = ""
        found: dict[str, Any] = {"role": self.role, "content": content}
        if self.name is not None:
            found["name"] = self.name
        if self.tool_call_id is not None:
            found["tool_call_id"] = self.tool_call_id
        thoughts = self.reasoning_content or self.reasoning
        if thoughts:
            found["reasoning"] = thoughts
        if self.tool_calls:
            found["tool_calls"] = [
                {
                    "id": call.id,
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
                for call in self.tool_calls
            ]
        return found


class Function(msgspec.Struct):
    """A function that the model may ask to be called."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolParam(msgspec.Struct):
    """The same, as a tool."""

    type: str
    function: Function

    def for_headrace(self) -> dict[str, Any]:
        """The tool as ``session.chat`` takes it."""
        found: dict[str, Any] = {"name": self.function.name}
        if self.function.description is not None:
            found["description"] = self.function.description
        if self.function.parameters is not None:
            found["parameters"] = self.function.parameters
        return {"type": "function", "function": found}


class JsonSchemaFormat(msgspec.Struct):
    """A schema and what it is called."""

    schema: dict[str, Any]
    name: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, omit_defaults=True):
    """What the answer is to be."""

    type: str
    json_schema: JsonSchemaFormat | None = None
    schema: dict[str, Any] | None = None


class StreamOptions(msgspec.Struct):
    """What a stream has beside its text."""

    include_usage: bool | None = None


class ChatRequest(Sampling, kw_only=True):
    """``POST /v1/chat/completions``."""

    messages: list[Message]
    model: str | None = None
    tools: list[ToolParam] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    json_schema: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    reasoning_format: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n_predict: int | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    functions: Any = None
    function_call: Any = None
    modalities: list[str] | None = None
    audio: Any = None
    prediction: Any = None
    web_search_options: Any = None


class TopLogprob(msgspec.Struct):
    """A token that was likely."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct):
    """A token of the answer."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class Logprobs(msgspec.Struct):
    """Those of a choice."""

    content: list[TokenLogprob]
    refusal: None = None


class CallText(msgspec.Struct, omit_defaults=True):
    """What is called, or what is new of it."""

    arguments: str
    name: str | None = None


class Call(msgspec.Struct):
    """A call of a tool."""

    id: str
    function: CallText
    type: str = "function"


class CallDelta(msgspec.Struct, omit_defaults=True):
    """What is new of a call."""

    index: int
    function: CallText
    id: str | None = None
    type: str | None = None


class AnswerMessage(msgspec.Struct, omit_defaults=True):
    """The assistant's message."""

    role: str
    content: str | None
    reasoning_content: str | None = None
    tool_calls: list[Call] | None = None
    unread: bool = False
    note: str | None = None


class Choice(msgspec.Struct):
    """One answer."""

    index: int
    message: AnswerMessage
    finish_reason: str
    logprobs: Logprobs | None = None


class ChatCompletion(msgspec.Struct):
    """Answers, whole."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage
    timings: Timings
    object: str = "chat.completion"


class Delta(msgspec.Struct, omit_defaults=True):
    """What is new of a message."""

    role: str | None = None
    content: str | msgspec.UnsetType | None = msgspec.UNSET
    reasoning_content: str | None = None
    tool_calls: list[CallDelta] | None = None
    unread: bool = False
    note: str | None = None


class ChunkChoice(msgspec.Struct):
    """What is new of an answer."""

    index: int
    delta: Delta
    logprobs: Logprobs | None = None
    finish_reason: str | None = None


class ChatChunk(msgspec.Struct, omit_defaults=True):
    """An event of a stream."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    object: str
    usage: Usage | None = None
    timings: Timings | None = None
