"""Sampling, on logits made for the purpose."""

from __future__ import annotations

import collections
import math
import random

import pytest

from headrace.params import SamplingParams
from headrace_llamacpp._native import ffi, lib, new_report
from tests.integration.driving import GREEDY
from tests.support.tiny_gguf import EOS, N_VOCAB


@pytest.fixture
def draw(open_driver):
    """Draws tokens from logits with one sampler."""
    decoder = open_driver().decoder

    def _draw(logits, params=GREEDY, *, count=1, seed=1, recent=(), ban_eog=False):
        sampler = decoder.new_sampler(params, seed=seed, recent=recent, ban_eog=ban_eog)
        native = ffi.new("float[]", logits)
        before = bytes(ffi.buffer(native))
        token = ffi.new("int32_t *")
        report = new_report()
        out = []
        for _ in range(count):
            lib.hr_test_sample(sampler.pointer, native, len(logits), ffi.NULL, token, report)
            out.append(token[0] if report.status == lib.HR_OK else None)
            assert bytes(ffi.buffer(native)) == before, "the logits were not put back"
        sampler.close()
        return out if count > 1 else out[0]

    return _draw


def _random_logits(seed: int, count: int = N_VOCAB) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0, 4) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 7, 63, 64, 65, 288, 1000])
def test_greedy_takes_the_largest(draw, count):
    """Wherever it stands, in vocabularies of any size."""
    for seed in range(20):
        logits = _random_logits(seed, count)
        assert draw(logits) == logits.index(max(logits))


@pytest.mark.parametrize(("first", "second"), [(0, 1), (5, 200), (63, 64), (100, 287)])
def test_of_equal_logits_greedy_takes_the_first(draw, first, second):
    """As llama.cpp does."""
    logits = [0.0] * N_VOCAB
    logits[first] = logits[second] = 3.0
    assert draw(logits) == first


def test_a_negative_maximum_is_found(draw):
    """Nothing is compared with zero."""
    logits = [-50.0] * N_VOCAB
    logits[77] = -49.0
    assert draw(logits) == 77


@pytest.mark.parametrize("hole", [math.nan, -math.inf])
def test_holes_are_passed_over(draw, hole):
    """Numbers that are none are never chosen; nothing but holes is an error of the row."""
    logits = [hole] * N_VOCAB
    for params in (GREEDY, SamplingParams(), SamplingParams(top_k=0)):
        logits[99] = 1.0
        assert draw(logits, params) == 99
        logits[99] = hole
        assert draw(logits, params) is None


def test_top_k_of_one_is_greedy(draw):
    """Whatever the temperature."""
    for seed in range(20):
        logits = _random_logits(seed)
        assert draw(logits, SamplingParams(temperature=5.0, top_k=1)) == logits.index(max(logits))


@pytest.mark.parametrize("k", [2, 5, 40, 287])
def test_top_k_keeps_the_k_most_likely(draw, k):
    """All of them come up, nothing else does."""
    logits = _random_logits(3)
    best = sorted(range(N_VOCAB), key=lambda i: -logits[i])[:k]
    params = SamplingParams(temperature=1e6, top_k=k, top_p=1.0, min_p=0.0)
    drawn = set(draw(logits, params, count=40 * k))
    assert drawn <= set(best)
    assert len(drawn) > k * 0.8


def test_of_equal_logits_top_k_keeps_the_first(draw):
    """Also when a better one comes later and one of them must go."""
    logits = [0.0] * N_VOCAB
    logits[5], logits[10], logits[20] = 3.0, 3.0, 4.0
    params = SamplingParams(temperature=10.0, top_k=2, top_p=1.0, min_p=0.0)
    assert set(draw(logits, params, count=100)) == {5, 20}


def test_top_k_of_zero_keeps_all(draw):
    """At a high temperature every token comes up."""
    params = SamplingParams(temperature=1e6, top_k=0, top_p=1.0, min_p=0.0)
    assert len(set(draw(_random_logits(1), params, count=6000))) == N_VOCAB


def test_top_p_and_min_p_drop_the_unlikely(draw):
    """Each alone leaves the two tokens that stand out."""
    logits = [0.0] * N_VOCAB
    logits[10], logits[20] = 20.0, 19.5
    for params in (
        SamplingParams(temperature=1.0, top_k=0, top_p=0.9, min_p=0.0),
        SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.1),
        SamplingParams(temperature=1.0, top_k=40, top_p=0.9, min_p=0.1),
    ):
        assert set(draw(logits, params, count=200)) == {10, 20}


def test_draws_follow_the_probabilities(draw):
    """Two tokens of which one is three times as likely."""
    logits = [-math.inf] * N_VOCAB
    logits[5], logits[6] = math.log(3.0), 0.0
    counts = collections.Counter(draw(logits, SamplingParams(temperature=1.0), count=4000))
    assert counts.keys() == {5, 6}
    assert 2800 < counts[5] < 3200


def test_the_same_seed_draws_the_same(draw):
    """And another one something else."""
    logits = _random_logits(5)
    params = SamplingParams(temperature=1.0)
    first = draw(logits, params, count=50, seed=9)
    assert draw(logits, params, count=50, seed=9) == first
    assert draw(logits, params, count=50, seed=10) != first


@pytest.mark.parametrize("temperature", [1e-45, 1e-38, 1e-31, 1e-10, 1e-3])
def test_ever_smaller_temperatures_become_greedy(draw, temperature):
    """No division overflows on the way."""
    logits = _random_logits(6)
    assert draw(logits, SamplingParams(temperature=temperature)) == logits.index(max(logits))


@pytest.mark.parametrize("temperature", [1e10, 1e38, 1e300])
def test_ever_larger_temperatures_still_draw(draw, temperature):
    """Beyond what a C float holds, too."""
    assert draw(_random_logits(6), SamplingParams(temperature=temperature, min_p=0.0)) is not None


def test_a_penalty_divides_positive_and_multiplies_negative_logits(draw):
    """A recent token becomes less likely on either side of zero."""
    logits = [-10.0] * N_VOCAB
    logits[7], logits[8] = 4.0, 3.0
    params = SamplingParams(temperature=0.0, repeat_penalty=1.5)
    assert draw(logits, params) == 7
    assert draw(logits, params, recent=[7]) == 8
    logits[7], logits[8] = -3.0, -4.0
    assert draw(logits, params, recent=[7]) == 8
    assert draw(logits, GREEDY, recent=[7]) == 7


def test_a_penalty_forgets_what_is_long_ago(draw):
    """Only the last ``repeat_last_n`` tokens count, and what is drawn counts too."""
    logits = [-10.0] * N_VOCAB
    logits[7], logits[8], logits[9] = 4.0, 3.9, 3.8
    params = SamplingParams(temperature=0.0, repeat_penalty=2.0, repeat_last_n=2)
    assert draw(logits, params, recent=[7, 100, 101]) == 7
    assert draw(logits, params, count=6) == [7, 8, 9, 7, 8, 9]
    off = SamplingParams(temperature=0.0, repeat_penalty=2.0, repeat_last_n=0)
    assert draw(logits, off, count=3) == [7, 7, 7]


def test_the_end_can_be_banned(draw):
    """For greedy sampling and for draws, also when it is all there is to choose."""
    logits = [0.0] * N_VOCAB
    logits[EOS], logits[30] = 50.0, 40.0
    assert draw(logits) == EOS
    for params in (GREEDY, SamplingParams(), SamplingParams(top_k=0)):
        assert draw(logits, params, ban_eog=True) == 30
    only = [-math.inf] * N_VOCAB
    only[EOS] = 1.0
    assert draw(only, ban_eog=True) is None
