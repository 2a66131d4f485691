"""What several interfaces have in common: usage, timings, names of answers."""

from __future__ import annotations

import secrets

import msgspec

import headrace


class PromptDetails(msgspec.Struct):
    """What is known of a prompt's tokens."""

    cached_tokens: int


class Usage(msgspec.Struct, omit_defaults=True):
    """Tokens counted, in the words of OpenAI's API."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | None = None

    @classmethod
    def of(cls, prompt: int, completion: int, cached: int | None = None) -> Usage:
        """The sum is made here; None: nothing is told of what was cached."""
        details = None if cached is None else PromptDetails(cached)
        return cls(prompt, completion, prompt + completion, details)


class Timings(msgspec.Struct):
    """Where the time went, in the words of llama-server: milliseconds."""

    cache_n: int
    prompt_n: int
    prompt_ms: float
    prompt_per_token_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_token_ms: float
    predicted_per_second: float
    draft_n: int = 0
    draft_n_accepted: int = 0

    @classmethod
    def of(cls, timings: headrace.results.Timings, cached: int, completion: int) -> Timings:
        """What headrace has measured.

        Args:
            timings: Of one generation.
            cached: Tokens that were in memory already.
            completion: Tokens that were delivered.
        """
        prompt, decode = timings.prefill_seconds * 1000, timings.decode_seconds * 1000
        return cls(
            cache_n=cached,
            prompt_n=timings.prefill_tokens,
            prompt_ms=prompt,
            prompt_per_token_ms=_share(prompt, timings.prefill_tokens),
            prompt_per_second=timings.prefill_rate or 0.0,
            predicted_n=completion,
            predicted_ms=decode,
            predicted_per_token_ms=_share(decode, timings.decode_tokens),
            predicted_per_second=timings.decode_rate or 0.0,
            draft_n=timings.drafted_tokens,
            draft_n_accepted=timings.accepted_tokens,
        )


def _share(total: float, count: int) -> float:
    return total / count if count else 0.0


def new_id(prefix: str) -> str:
    """A name for an answer."""
    return f"{prefix}-{secrets.token_hex(12)}"
