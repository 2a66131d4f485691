"""``Tally``: what one generation has cost so far."""

from __future__ import annotations

import time

import attrs

from headrace.results import Timings


@attrs.define(eq=False)
class Tally:
    """Steps, tokens and seconds of one generation; only told, never decided by."""

    began: float = attrs.field(factory=time.monotonic)
    first_token_at: float | None = None
    steps: int = 0
    waits: int = 0
    """Times its reader waited for another's step."""
    prefill_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_tokens: int = 0
    decode_seconds: float = 0.0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    draft_seconds: float = 0.0
    sample_seconds: float = 0.0

    def timings(self) -> Timings:
        """The numbers, as they stand."""
        now, first = time.monotonic(), self.first_token_at
        return Timings(
            prefill_tokens=self.prefill_tokens,
            prefill_seconds=self.prefill_seconds,
            decode_tokens=self.decode_tokens,
            decode_seconds=self.decode_seconds,
            drafted_tokens=self.drafted_tokens,
            accepted_tokens=self.accepted_tokens,
            draft_seconds=self.draft_seconds,
            sample_seconds=self.sample_seconds,
            first_token_seconds=None if first is None else first - self.began,
            total_seconds=now - self.began,
        )
