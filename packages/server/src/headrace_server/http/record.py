"""What is known of one request, for its line in the log and for the metrics."""

from __future__ import annotations

import secrets

import attrs

from headrace import Timings
from headrace_server.observation.histogram import Histogram


@attrs.define
class Record:
    """One request, as far as it has come."""

    method: str
    path: str
    request_id: str = attrs.field(factory=lambda: f"req-{secrets.token_hex(12)}")
    key_name: str | None = None
    model: str | None = None
    status: int | None = None
    streamed: bool = False
    outcome: str | None = None
    """``ok``, ``cancelled``, or the code of an error; None: not over."""
    stop_reason: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    queue_seconds: float = 0.0
    first_token_seconds: float | None = None
    seconds: float = 0.0
    prompt: str | None = None
    """The request's text, where logs may have it."""
    traceparent: str | None = None
    """What trace the client says that it belongs to; W3C's header."""
    between_tokens: Histogram = attrs.field(factory=Histogram, repr=False)
    """Seconds from token to token."""
    prefill_tokens: int = 0
    """Tokens computed before the first new one."""
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    steps: int = 0
    """Native calls that carried its streams."""
    _counted: list[int] = attrs.field(factory=lambda: [0, 0, 0], init=False, repr=False)

    def count(self, *, prompt: int, cached: int, completion: int) -> None:
        """Add the tokens of a seat; a request with several prompts has several, in turn."""
        for index, tokens in enumerate((prompt, cached, completion)):
            self._counted[index] += tokens
        self.prompt_tokens, self.cached_tokens, self.completion_tokens = self._counted

    def time(self, timings: Timings) -> None:
        """Add the times of a stream."""
        self.prefill_tokens += timings.prefill_tokens
        self.prefill_seconds += timings.prefill_seconds
        self.decode_seconds += timings.decode_seconds

    def fail(self, code: str) -> None:
        """Note how it has failed."""
        self.outcome = code
