"""What observers cost for each token: nothing if there are none.

``test_engine_overhead.test_one_stream`` is the same without any of this in reach.
"""

from __future__ import annotations

import contextlib

import pytest

import headrace

from .test_engine_overhead import GREEDY, N_TOKENS, load, per_token


@pytest.mark.parametrize("n_observers", [0, 1])
def test_one_stream(benchmark, n_observers):
    """Read to its end."""
    with contextlib.ExitStack() as stack:
        model = stack.enter_context(load(1))
        session = stack.enter_context(model.open_session())
        for _ in range(n_observers):
            stack.enter_context(headrace.observe(headrace.Observer()))

        def run():
            return session.complete("x", sampling=GREEDY, max_tokens=N_TOKENS, ignore_eog=True)

        assert len(benchmark(run).tokens) == N_TOKENS
    per_token(benchmark, N_TOKENS)
