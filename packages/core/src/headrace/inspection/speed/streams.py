"""Streams that decode at the same time, and prompts, against the clock.

One thread reads all streams in turns: whoever waits for a token drives a step for all of them,
so that they advance together, and Ctrl-C ends it like any loop.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import attrs

from headrace.inspection.speed.plan import AHEAD, SHORT_PROMPT
from headrace.model import Model
from headrace.params import SamplingParams
from headrace.streams.tokens import TokenStream

_GREEDY = SamplingParams(temperature=0.0)
_TEXT = "The quick brown fox jumps over the lazy dog. "


@attrs.define
class Stopwatch:
    """Measures a model; each prompt is a new one, so that nothing of it is in memory."""

    model: Model
    _prompts: int = attrs.field(default=0, init=False)

    def first_token(self, prompt_tokens: int) -> float:
        """Seconds from the call of a generation to its first token.

        Args:
            prompt_tokens: Of its prompt.
        """
        with contextlib.ExitStack() as opened:
            prompt = self._prompt(prompt_tokens)
            began = time.perf_counter()
            _advance([self._begin(opened, prompt, 1)], 1)
            return time.perf_counter() - began

    def decode(self, streams: int, new_tokens: int) -> float:
        """Tokens a second of streams that decode together, of all of them.

        Args:
            streams: How many.
            new_tokens: That each of them decodes.
        """
        with contextlib.ExitStack() as opened:
            begun = [
                self._begin(opened, self._prompt(SHORT_PROMPT), new_tokens + 2 * AHEAD)
                for _ in range(streams)
            ]
            _advance(begun, AHEAD)
            began = time.perf_counter()
            return _advance(begun, new_tokens) / (time.perf_counter() - began)

    def _begin(
        self, opened: contextlib.ExitStack, prompt: list[int], max_tokens: int
    ) -> TokenStream:
        session = opened.enter_context(self.model.open_session())
        return opened.enter_context(
            session.generate(prompt, sampling=_GREEDY, max_tokens=max_tokens, ignore_eog=True)
        )

    def _prompt(self, length: int) -> list[int]:
        self._prompts += 1
        first = self.model.tokenize(f"{self._prompts}. ")
        text = self.model.tokenize(_TEXT)
        return [*first, *(text * (length // len(text) + 1))][:length]


def _advance(streams: Sequence[TokenStream], tokens: int) -> int:
    """Read so many tokens of each stream, in turns; how many were there of all together."""
    counts = [0] * len(streams)
    waiting = set(range(len(streams)))
    while waiting:
        for number in sorted(waiting):
            chunk = next(streams[number], None)
            # A service may send text alone: then a chunk counts as a token.
            counts[number] += 0 if chunk is None else len(chunk.tokens) or 1
            if chunk is None or counts[number] >= tokens:
                waiting.discard(number)
    return sum(counts)
