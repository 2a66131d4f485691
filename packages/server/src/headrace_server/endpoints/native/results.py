"""Answers and errors in llama-server's shape."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from headrace import StopReason
from headrace_server.endpoints.native.requests import SAME, Generating

if TYPE_CHECKING:
    import headrace
    from headrace_server.errors import ApiError
    from headrace_server.generation.pieces import Pieces

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    501: "not_supported_error",
    503: "unavailable_error",
}


def error_body(error: ApiError) -> dict[str, Any]:
    """An error: ``code`` is the status, ``type`` llama-server's word."""
    kind = _TYPES.get(
        error.status, "invalid_request_error" if error.status < 500 else "server_error"
    )
    if error.code == "context_length_exceeded":
        kind = "exceed_context_size_error"
    body = {"code": error.status, "message": error.message, "type": kind, "reason": error.code}
    if error.param is not None:
        body["param"] = error.param
    return {"error": {**body, **error.details}}


STOP_TYPES = {
    StopReason.EOG: "eos",
    StopReason.STOP_STRING: "word",
    StopReason.MAX_TOKENS: "limit",
    StopReason.CONTEXT_FULL: "limit",
    StopReason.TIMED_OUT: "limit",
    StopReason.CANCELLED: "limit",
}
"""llama-server's words for the ends; it cancels nothing but what is over its time."""


def timings(n_prompt: int, result: headrace.Completion) -> dict[str, Any]:
    """What was computed, and how fast.

    Args:
        n_prompt: Tokens of the whole prompt.
        result: The end of the generation.
    """
    cached = min(result.usage.cached_tokens, n_prompt)
    computed = n_prompt - cached
    written = result.usage.completion_tokens
    steps = max(0, written - 1)  # the first token comes out of the prompt
    prompt_ms = 1000 * result.timings.prefill_seconds
    predicted_ms = 1000 * result.timings.decode_seconds
    return {
        "cache_n": cached,
        "prompt_n": computed,
        "prompt_ms": prompt_ms,
        "prompt_per_token_ms": prompt_ms / computed if computed else 0.0,
        "prompt_per_second": 1000 * computed / prompt_ms if prompt_ms else 0.0,
        "predicted_n": written,
        "predicted_ms": predicted_ms,
        "predicted_per_token_ms": predicted_ms / steps if steps else 0.0,
        "predicted_per_second": 1000 * steps / predicted_ms if predicted_ms else 0.0,
    }


def settings(
    request: Generating,
    sampling: headrace.SamplingParams,
    seed: int | None,
    special: Mapping[str, int],
) -> dict[str, Any]:
    """``generation_settings``: what a request was answered with.

    Args:
        request: What was asked for.
        sampling: How tokens were chosen.
        seed: The seed used.
        special: The model's special tokens by their names; those that end a text are never chosen
            if the request wants it so, which llama-server shows as biases.
    """
    ends = {special[name] for name in ("eos", "eot") if name in special}
    biases = {**dict(sampling.logit_bias)}
    if request.ignore_eos:
        biases |= dict.fromkeys(ends, -math.inf)
    values = attrs.asdict(sampling, recurse=False)
    most = request.most
    grammar = sampling.grammar
    found: dict[str, Any] = {name: values[name] for name in SAME}
    found |= {
        "seed": 2**32 - 1 if seed is None else seed,
        "dry_sequence_breakers": list(sampling.dry_sequence_breakers),
        "stop": list(request.stops),
        "max_tokens": -1 if most is None else most,
        "n_predict": -1 if most is None else most,
        "ignore_eos": bool(request.ignore_eos),
        "stream": bool(request.stream),
        "logit_bias": [
            {"token": token, "bias": None if math.isinf(bias) else bias}
            for token, bias in biases.items()
        ],
        "n_probs": sampling.logprobs or 0,
        "grammar": getattr(grammar, "text", ""),
        "samplers": list(sampling.samplers),
        "timings_per_token": bool(request.timings_per_token),
        "lora": [{"id": each.id, "scale": each.scale} for each in request.lora or ()],
    }
    return found


async def probabilities(
    pieces: Pieces, logprobs: Sequence[headrace.TokenLogprob]
) -> list[dict[str, Any]]:
    """``completion_probabilities``: each token with the likeliest beside it."""
    await pieces.look_up(
        token for each in logprobs for token in (each.token, *(other for other, _ in each.top))
    )
    return [
        {
            **_likely(pieces, each.token, each.logprob),
            "top_logprobs": [_likely(pieces, token, logprob) for token, logprob in each.top],
        }
        for each in logprobs
    ]


def _likely(pieces: Pieces, token: int, logprob: float) -> dict[str, Any]:
    data = pieces[token]
    return {
        "id": token,
        "token": data.decode(errors="ignore"),
        "bytes": list(data),
        "logprob": logprob,
    }


def chosen(body: Mapping[str, Any], fields: Sequence[str] | None) -> Mapping[str, Any]:
    """The fields that were asked for, ``a/b`` for ``b`` of ``a``; all of them if none was."""
    if not fields:
        return body
    found: dict[str, Any] = {}
    for field in fields:
        value: Any = body
        for name in field.split("/"):
            if not isinstance(value, Mapping) or name not in value:
                break
            value = value[name]
        else:
            found[field] = value
    return found
