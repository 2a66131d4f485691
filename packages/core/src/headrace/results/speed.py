"""How fast a model runs on a machine: what ``headrace bench`` finds out, as frozen values."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import attrs


@attrs.frozen(kw_only=True)
class Rate:
    """Tokens a second, measured several times."""

    median: float
    """The one in the middle."""
    low: float
    """The lowest."""
    high: float
    """The highest."""
    rounds: int
    """How often it was measured."""

    @classmethod
    def of(cls, samples: Iterable[float]) -> Rate:
        """What samples come to; one at least."""
        found = list(samples)
        return cls(
            median=statistics.median(found), low=min(found), high=max(found), rounds=len(found)
        )


@attrs.frozen(kw_only=True)
class StreamsSpeed:
    """How fast streams decode at the same time."""

    streams: int
    """How many."""
    rate: Rate
    """Of all together."""


@attrs.frozen(kw_only=True)
class ThreadsSpeed:
    """How fast one stream is with a number of threads."""

    n_threads: int | None
    """The number; None: the one that the backend chose."""
    decode: Rate
    """Of decoding."""
    prefill: Rate
    """Of a prompt."""


@attrs.frozen(kw_only=True)
class Speed:
    """What a model does on a machine."""

    model: str
    """Its name, as its file has it."""
    backend: str
    """What ran it."""
    cpu: str
    """The processor; empty where it does not tell."""
    cpus: int
    """Processors that this process may use."""
    load_seconds: float
    """From the call to a loaded model."""
    first_token_seconds: float
    """From the call of a generation with a short prompt to its first token, in the median."""
    prompt_tokens: int
    """Tokens of the prompt that prefill is measured with."""
    new_tokens: int
    """Tokens that each stream decodes."""
    prefill: Rate
    """Of the prompt, up to the first token."""
    decode: tuple[StreamsSpeed, ...]
    """From one stream to the most, on the machine as it is."""
    others: int
    """Processes that computed while ``busy`` was measured."""
    busy: tuple[StreamsSpeed, ...]
    """One stream and the most beside them; empty if there were none."""
    threads: tuple[ThreadsSpeed, ...]
    """The backend's choice and fixed numbers; empty where the number was given."""

    @property
    def best_threads(self) -> ThreadsSpeed | None:
        """The number with which decoding was fastest; None if only one was tried."""
        return max(self.threads, key=lambda each: each.decode.median, default=None)
