"""What is known of one request, for its line in the log and for the metrics."""

from __future__ import annotations

import secrets

import attrs


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
    """The prompt's text, where logs may have it."""

    def fail(self, code: str) -> None:
        """Note how it has failed."""
        self.outcome = code
