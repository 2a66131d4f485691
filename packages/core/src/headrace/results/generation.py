"""What a generation gives back: frozen values, no behaviour."""

from __future__ import annotations

import enum

import attrs


class StopReason(str, enum.Enum):
    """Why a generation ended. An end is a value; an exception means failure."""

    EOG = "eog"
    """The model said that it is done (EOS, EOT, …)."""
    STOP_STRING = "stop_string"
    """One of the caller's stop strings came up."""
    MAX_TOKENS = "max_tokens"
    """The number of tokens asked for was reached."""
    CONTEXT_FULL = "context_full"
    """The context has no room for another token."""
    CANCELLED = "cancelled"
    """The caller cancelled."""
    TIMED_OUT = "timed_out"
    """The caller's time-out ran out."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen
class TokenLogprob:
    """How likely a token was: natural logarithms of the model's own probabilities.

    They are the softmax of the model's logits, before biases, penalties and samplers.
    """

    token: int
    """Id of the token chosen."""
    logprob: float
    """Its log-probability, at most 0."""
    top: tuple[tuple[int, float], ...] = ()
    """The most likely tokens with theirs, best first; as many as were asked for."""


@attrs.frozen
class Chunk:
    """What one turn of the stream's loop delivers."""

    text: str
    """New text; whole characters only, empty for tokens without text."""
    tokens: tuple[int, ...] = ()
    """Ids of the tokens of which this chunk delivers the first text."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """One for each of the tokens, if ``SamplingParams(logprobs=…)`` asked for them."""


@attrs.frozen
class Usage:
    """Tokens counted in one generation."""

    prompt_tokens: int = 0
    """Tokens of this call's prompt."""
    cached_tokens: int = 0
    """Tokens of the history that were in memory already and were not computed again."""
    completion_tokens: int = 0
    """Tokens delivered."""

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@attrs.frozen
class Timings:
    """Where the time went, in seconds on the monotonic clock."""

    prefill_tokens: int = 0
    """Tokens computed before the first new one, rebuilt memory included."""
    prefill_seconds: float = 0.0
    """Time in native calls that ran prompt tokens of this generation."""
    decode_tokens: int = 0
    """New tokens of calls that ran no prompt; the first new token comes out of the prefill."""
    decode_seconds: float = 0.0
    """Time in those calls."""
    drafted_tokens: int = 0
    """Tokens proposed by speculation and computed."""
    accepted_tokens: int = 0
    """Those of them that were what the model itself chose."""
    draft_seconds: float = 0.0
    """Time spent on proposing them."""
    sample_seconds: float = 0.0
    """Time spent on choosing this generation's tokens, within prefill and decode; 0 where the
    backend does not measure it."""
    first_token_seconds: float | None = None
    """From the call to the first new token; None if there was none."""
    total_seconds: float = 0.0
    """From the call to the end."""

    @property
    def prefill_rate(self) -> float | None:
        """Prompt tokens a second, None if nothing was measured."""
        return self.prefill_tokens / self.prefill_seconds if self.prefill_seconds else None

    @property
    def acceptance_rate(self) -> float | None:
        """Share of the drafted tokens that was accepted, None if none was drafted."""
        return self.accepted_tokens / self.drafted_tokens if self.drafted_tokens else None

    @property
    def decode_rate(self) -> float | None:
        """New tokens a second, None if nothing was measured."""
        return self.decode_tokens / self.decode_seconds if self.decode_seconds else None


@attrs.frozen
class Receipt:
    """What is needed to repeat a generation, and whether a repeat gives the same tokens."""

    backend: str
    """Name of the backend."""
    build: str
    """Version of the native library and what it was compiled for."""
    seed: int | None
    """The seed used, given or drawn; None where the backend has none."""
    reproducible: bool
    """True if the same call on the same history gives the same tokens."""
    reason: str
    """Why ``reproducible`` is what it is."""
    adapters: tuple[tuple[str, float], ...] = ()
    """Names of the adapters and control vectors the session computed with, and their scales."""
    n_threads: int | None = None
    """Threads that computed it, on which last bits depend; None: as many as paid, which changes,
    or not told."""


@attrs.frozen
class Completion:
    """A finished generation."""

    text: str
    tokens: tuple[int, ...]
    stop_reason: StopReason
    usage: Usage
    timings: Timings
    receipt: Receipt
    logprobs: tuple[TokenLogprob, ...] = ()
    """One for each of the tokens, if ``SamplingParams(logprobs=…)`` asked for them."""
    stop_string: str | None = None
    """Which stop string ended it; None for other ends, and where a service does not tell."""


@attrs.frozen
class StreamStatistics:
    """A snapshot of a stream at work."""

    buffered_tokens: int = 0
    """Tokens computed and not yet read."""
    held_back_characters: int = 0
    """Text kept back because a stop string might begin in it."""
    delivered_tokens: int = 0
    """Tokens delivered to the reader."""
    steps: int = 0
    """Native calls that carried this stream."""
    waits: int = 0
    """Times the reader waited for a step that another reader drove."""
