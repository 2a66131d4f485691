"""Decode and prefill on the real backend: the tiny model, and Gemma for scale.

Machines differ and are shared: compare figures of one run only.
"""

from __future__ import annotations

import os

import pytest

import headrace
from headrace import EngineParams, SamplingParams

if os.environ.get("HEADRACE_TEST_LLAMACPP") != "1":
    pytest.skip("the llama.cpp backend was not asked for", allow_module_level=True)

from tests.support import gemma, tiny_gguf

GREEDY = SamplingParams(temperature=0.0)
SAMPLED = SamplingParams(temperature=0.8, seed=7)
MODELS = {"tiny": lambda: tiny_gguf.path("attention"), "gemma": gemma.path}


@pytest.fixture(params=MODELS)
def session(request):
    """An empty session of each model."""
    with (
        headrace.load_model(
            MODELS[request.param](), backend="llamacpp", engine=EngineParams(n_ctx=4096)
        ) as model,
        model.open_session() as session,
    ):
        yield session


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_decode(benchmark, session, sampling):
    """64 new tokens after a short prompt, sampling and text included."""

    def run():
        return session.complete("Once", sampling=sampling, max_tokens=64, ignore_eog=True)

    done = benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    benchmark.extra_info["tokens_per_second"] = round(done.timings.decode_rate, 1)


def test_prefill(benchmark, session):
    """512 prompt tokens in one native call; no two prompts begin alike."""
    first_tokens = iter(range(10, 200))

    def run():
        with session._model.open_session() as fresh:
            return fresh.complete([next(first_tokens)] + [50] * 511, max_tokens=0)

    done = benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    assert done.usage.cached_tokens == 0
    benchmark.extra_info["tokens_per_second"] = round(done.timings.prefill_rate, 1)
