"""The first token: of a new prompt, and of one whose beginning another session has in memory.

A prompt of 1,000 tokens that shares nothing, one that shares all but its last 20 with an open
session, a fork of that session, and those 20 alone. Milliseconds, medians of interleaved rounds.

    python benchmarks/first_token.py MODEL [--rounds 5] [--tokens 1000] [--json FILE]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from side_by_side import reports
from side_by_side.rounds import Spread, interleaved

import headrace
from headrace import EngineParams, SamplingParams

GREEDY = SamplingParams(temperature=0.0)
OWN = 20
"""Tokens of a prompt that no other has."""


class Prompts:
    """Random ones, and others that begin like an open session's."""

    def __init__(self, model: headrace.Model, tokens: int) -> None:
        self._model, self._tokens = model, tokens
        self._draw = random.Random(5)
        self._common = self._random(tokens - OWN)
        self._kept = model.open_session()
        self._kept.complete(self._common, max_tokens=0)

    def _random(self, tokens: int) -> list[int]:
        return [self._draw.randrange(3, self._model.info.n_vocab) for _ in range(tokens)]

    def cold(self) -> float:
        """Milliseconds of a prompt that shares nothing."""
        return self._first_token(self._random(self._tokens))

    def shared(self) -> float:
        """Milliseconds of one that shares all but its end."""
        return self._first_token([*self._common, *self._random(OWN)])

    def forked(self) -> float:
        """Milliseconds of a fork of the session that has the beginning."""
        began = time.perf_counter()
        with self._kept.fork() as session:
            session.complete(self._random(OWN), sampling=GREEDY, max_tokens=1, ignore_eog=True)
        return 1000 * (time.perf_counter() - began)

    def short(self) -> float:
        """Milliseconds of a prompt of a few tokens."""
        return self._first_token(self._random(OWN))

    def _first_token(self, prompt: list[int]) -> float:
        with self._model.open_session() as session:
            began = time.perf_counter()
            session.complete(prompt, sampling=GREEDY, max_tokens=1, ignore_eog=True)
            return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    engine = EngineParams(n_ctx=4 * arguments.tokens, n_sequences=4)
    with headrace.load_model(arguments.model, engine=engine) as model:
        prompts = Prompts(model, arguments.tokens)
        candidates: dict[str, Callable[[], float]] = {
            f"{arguments.tokens} new tokens": prompts.cold,
            f"{arguments.tokens - OWN} of them in memory": prompts.shared,
            "a fork of that session": prompts.forked,
            f"{OWN} tokens alone": prompts.short,
        }
        for measure in candidates.values():
            measure()
        found = {
            name: Spread.of(samples)
            for name, samples in interleaved(candidates, arguments.rounds).items()
        }
    rows = [(name, f"{each.median:.1f}", f"{each.least:.1f}") for name, each in found.items()]
    text = reports.table(["first token", "median ms", "least"], rows)
    print(text)
    reports.write(
        arguments.json,
        "first token",
        milliseconds={name: asdict(each) for name, each in found.items()},
        table=text,
    )


if __name__ == "__main__":
    main()
