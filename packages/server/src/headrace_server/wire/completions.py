"""Completions: https://platform.openai.com/docs/api-reference/completions."""

from __future__ import annotations

from typing import Any

import msgspec

from headrace_server.wire.chat import StreamOptions
from headrace_server.wire.common import Timings, Usage
from headrace_server.wire.sampling import Sampling

Prompt = str | list[int] | list[str] | list[list[int]]


class CompletionRequest(Sampling, kw_only=True):
    """``POST /v1/completions``."""

    prompt: str | list[str | int | list[int]]
    model: str | None = None
    suffix: str | None = None
    max_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | None = None
    json_schema: dict[str, Any] | None = None
    ignore_eos: bool | None = None
    add_special_tokens: bool = True
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class ClassicLogprobs(msgspec.Struct):
    """Log-probabilities in lists side by side, one entry a token."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(msgspec.Struct):
    """One answer, or what is new of it."""

    index: int
    text: str
    logprobs: ClassicLogprobs | None = None
    finish_reason: str | None = None


class Completion(msgspec.Struct, omit_defaults=True):
    """Answers, whole, or an event of a stream."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    object: str
    usage: Usage | None = None
    timings: Timings | None = None
