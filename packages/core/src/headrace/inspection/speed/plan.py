"""What of a model's speed is measured, and how long."""

from __future__ import annotations

import attrs

from headrace.inspection import environment
from headrace.params import EngineParams
from headrace.params.fields import integer, strict_names

SHORT_PROMPT = 16
"""Tokens before a stream that is measured while it decodes."""
AHEAD = 8
"""Tokens of each stream before its first one that counts, and after its last: streams are some
tokens ahead of their readers, as many at the beginning as at the end."""


@strict_names
@attrs.frozen(kw_only=True)
class SpeedPlan:
    """What is measured.

    Raises:
        ParamsError: For a value outside its range.
    """

    rounds: int = attrs.field(default=3, validator=integer(1, 1000))
    """How often everything is measured."""

    prompt_tokens: int = attrs.field(default=512, validator=integer(1, 2**20))
    """Tokens of the prompt for prefill; fewer where the model cannot have so many."""

    new_tokens: int = attrs.field(default=64, validator=integer(1, 2**20))
    """Tokens that each stream decodes."""

    streams: int = attrs.field(default=8, validator=integer(1, 256))
    """Most streams at the same time."""

    others: int | None = attrs.field(default=None, validator=integer(0, 1024, optional=True))
    """Processes that compute beside it for the busy machine; None: as many as processors."""

    def n_others(self) -> int:
        """Processes beside it."""
        return environment.cpus() if self.others is None else self.others

    def numbers_of_threads(self) -> tuple[int, ...]:
        """1, 2, 4 … and as many as processors."""
        return doubling(environment.cpus())

    def engine(self, engine: EngineParams) -> EngineParams:
        """Settings with room for what is measured, where the caller leaves the room open."""
        room = self.streams * (SHORT_PROMPT + self.new_tokens + 2 * AHEAD)
        wanted = max(room, self.prompt_tokens + AHEAD)
        n_ctx = engine.n_ctx or -(-wanted // 256) * 256
        return attrs.evolve(engine, n_ctx=n_ctx, n_sequences=self.streams)


def doubling(most: int) -> tuple[int, ...]:
    """1, 2, 4 … and the most."""
    numbers = [2**power for power in range(most.bit_length()) if 2**power < most]
    return (*numbers, most)
