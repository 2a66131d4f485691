"""What the engine costs for each token, where the decoder costs almost nothing.

The fake computes nothing, so nearly all of the time is headrace's own: planning,
handing out, text, the stream. ``extra_info`` has microseconds per token.
"""

from __future__ import annotations

import pytest

import headrace
from headrace import EngineParams, SamplingParams

GREEDY = SamplingParams(temperature=0.0)
N_TOKENS = 500


def load(n_sequences: int) -> headrace.Model:
    """A fake that never ends and never waits."""
    return headrace.load_model(
        "fake:#mean_length=0&n_ctx=1000000",
        engine=EngineParams(n_ctx=1_000_000, n_sequences=n_sequences),
    )


def per_token(benchmark, tokens: int) -> None:
    """Note the best time for each token."""
    benchmark.extra_info["us_per_token"] = round(benchmark.stats["min"] / tokens * 1e6, 2)


def test_one_stream(benchmark):
    """A reader that drives each step itself."""
    with load(1) as model, model.open_session() as session:

        def run():
            return session.complete("x", sampling=GREEDY, max_tokens=N_TOKENS, ignore_eog=True)

        assert len(benchmark(run).tokens) == N_TOKENS
    per_token(benchmark, N_TOKENS)


def test_one_stream_with_stop_strings(benchmark):
    """The text is searched for three strings that never come."""
    with load(1) as model, model.open_session() as session:

        def run():
            return session.complete(
                "x",
                sampling=GREEDY,
                max_tokens=N_TOKENS,
                ignore_eog=True,
                stop=["\n\n", "###", "<end>"],
            )

        assert len(benchmark(run).tokens) == N_TOKENS
    per_token(benchmark, N_TOKENS)


@pytest.mark.parametrize("n_streams", [4, 16])
def test_many_streams_in_one_thread(benchmark, n_streams):
    """Read in turns: one step serves them all."""
    tokens = N_TOKENS // n_streams
    with load(n_streams) as model:
        sessions = [model.open_session() for _ in range(n_streams)]

        def run():
            streams = [
                session.generate("x", sampling=GREEDY, max_tokens=tokens, ignore_eog=True)
                for session in sessions
            ]
            for _ in range(tokens):
                for stream in streams:
                    next(stream, None)
            return sum(len(stream.result.tokens) for stream in streams)

        assert benchmark(run) == tokens * n_streams
    per_token(benchmark, tokens * n_streams)
