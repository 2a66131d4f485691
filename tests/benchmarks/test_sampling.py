"""Choosing a token out of a vocabulary of 262,144, without a model in front of it.

What needs no array of all candidates stands beside what does: greedy and
top-k, also with penalties and biases, against a draw from the whole vocabulary. Then draws under
masks: a grammar allows either little, as between the parts of a JSON object, or nearly all, as
inside a string.
"""

from __future__ import annotations

import os
import random

import pytest

import headrace
from headrace import SamplingParams

if os.environ.get("HEADRACE_TEST_LLAMACPP") != "1":
    pytest.skip("the llama.cpp backend was not asked for", allow_module_level=True)

from headrace_llamacpp._native import ffi, lib, new_report
from tests.integration.driving import Driver, load_decoder_model
from tests.support import gemma, tiny_gguf

N_VOCAB = 262_144
PENALTIES = {
    "repeat_penalty": 1.1,
    "presence_penalty": 0.2,
    "dry_multiplier": 0.8,
    "logit_bias": {100: 1.5, 200: -3.0},
}
WHOLE = {"top_k": 0, "min_p": 0.0}
CASES = {
    "greedy": {"temperature": 0.0},
    "greedy, penalties and bias": {"temperature": 0.0, **PENALTIES},
    "default": {},
    "default, penalties and bias": PENALTIES,
    "whole vocabulary, top_p": WHOLE,
    "whole vocabulary, top_p, penalties and bias": {**WHOLE, **PENALTIES},
    "whole vocabulary, typical": {**WHOLE, "top_p": 1.0, "typical_p": 0.9},
}


@pytest.fixture(scope="module")
def logits():
    """A row like a model's: many of no account, a few that stand out."""
    rng = random.Random(1)
    return ffi.new("float[]", [rng.gauss(-8, 3) for _ in range(N_VOCAB)])


@pytest.fixture(scope="module")
def driver():
    """A context to make samplers with."""
    model = load_decoder_model(tiny_gguf.path("attention"))
    driver = Driver(model, headrace.EngineParams(n_ctx=64, n_threads=1))
    yield driver
    driver.decoder.close()
    model.close()


@pytest.mark.parametrize("name", CASES)
def test_a_token(benchmark, driver, logits, name):
    """One draw, accepted."""
    params = SamplingParams(**CASES[name])
    sampler = driver.sampler(params, seed=1, recent=list(range(3, 67)))
    token, report = ffi.new("int32_t *"), new_report()
    benchmark(lambda: lib.hr_test_sample(sampler.pointer, logits, N_VOCAB, ffi.NULL, token, report))
    assert report.status == lib.HR_OK
    sampler.close()


MASKS = {"none": None, "238 allowed": 238, "98 % allowed": N_VOCAB * 98 // 100}
MASKED = {
    "greedy": {"temperature": 0.0},
    "temperature 0.8": {"temperature": 0.8},
    "temperature 0.8, whole vocabulary": {"temperature": 0.8, **WHOLE},
}


@pytest.mark.parametrize("allowed", MASKS)
@pytest.mark.parametrize("name", MASKED)
def test_a_token_under_a_mask(benchmark, driver, logits, name, allowed):
    """One draw, accepted."""
    count = MASKS[allowed]
    words = ffi.NULL
    if count is not None:
        words = ffi.new("uint32_t[]", N_VOCAB // 32)
        for each in random.Random(2).sample(range(N_VOCAB), count):
            words[each // 32] |= 1 << each % 32
    sampler = driver.sampler(SamplingParams(**MASKED[name]), seed=1)
    token, report = ffi.new("int32_t *"), new_report()
    benchmark(lambda: lib.hr_test_sample(sampler.pointer, logits, N_VOCAB, words, token, report))
    assert report.status == lib.HR_OK
    sampler.close()


@pytest.mark.parametrize("n", [None, 0, 20])
def test_decode_with_log_probabilities(benchmark, n):
    """32 new tokens of Gemma: what the softmax over its vocabulary adds to each."""
    engine = headrace.EngineParams(n_ctx=1024)
    sampling = SamplingParams(temperature=0.0, logprobs=n)
    with (
        headrace.load_model(gemma.path(), backend="llamacpp", engine=engine) as model,
        model.open_session() as session,
    ):

        def run():
            return session.complete("Once", sampling=sampling, max_tokens=32, ignore_eog=True)

        done = benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    benchmark.extra_info["tokens_per_second"] = round(done.timings.decode_rate, 1)
