"""What ``SamplingParams`` accept, and what they say about the rest."""

from __future__ import annotations

import copy
import math
import pickle

import attrs
import pytest

from headrace import ParamsError, SamplingParams

BAD = [
    ("repeat_penalty", 1e-9),
    ("repeat_penalty", 1e9),
    ("frequency_penalty", math.inf),
    ("presence_penalty", math.nan),
    ("typical_p", 0),
    ("typical_p", 1.5),
    ("top_n_sigma", -2),
    ("xtc_probability", 1.1),
    ("xtc_threshold", -0.1),
    ("dynatemp_range", -1),
    ("dynatemp_exponent", -0.5),
    ("dry_multiplier", -1),
    ("dry_base", 0.5),
    ("dry_allowed_length", -1),
    ("dry_penalty_last_n", -2),
    ("dry_penalty_last_n", 2**20 + 1),
    ("dry_sequence_breakers", "\n"),
    ("dry_sequence_breakers", ("",)),
    ("dry_sequence_breakers", ("a\0b",)),
    ("dry_sequence_breakers", ("\ud800",)),
    ("dry_sequence_breakers", ("é" * 21,)),
    ("dry_sequence_breakers", (3,)),
    ("dry_sequence_breakers", ("a",) * 65),
    ("adaptive_target", -2),
    ("adaptive_decay", 1.0),
    ("mirostat", 3),
    ("mirostat", True),
    ("mirostat_tau", -1),
    ("mirostat_eta", math.nan),
    ("min_keep", -1),
    ("logprobs", -1),
    ("logprobs", 101),
    ("logprobs", True),
    ("samplers", "top_k"),
    ("samplers", None),
    ("samplers", ("top_k", "top_p", "top_k")),
    ("logit_bias", 3),
    ("logit_bias", {"a": 1.0}),
    ("logit_bias", {-1: 1.0}),
    ("logit_bias", {True: 1.0}),
    ("logit_bias", {1: math.nan}),
    ("logit_bias", {1: math.inf}),
    ("logit_bias", {1: None}),
    ("logit_bias", [(1, 2.0, 3.0)]),
    ("logit_bias", [(1, 2.0), (1, 3.0)]),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_outside_its_range_is_refused(name, value):
    """The message names the field and what is allowed."""
    with pytest.raises(ParamsError, match=f"SamplingParams.{name} must be"):
        SamplingParams(**{name: value})


GOOD = [
    {"logit_bias": {7: -math.inf, 3: 2}},
    {"dry_sequence_breakers": ["\n", "é" * 20]},
    {"dry_sequence_breakers": ()},
    {"samplers": ["top_k", "temperature"]},
    {"samplers": ("adaptive_p",), "adaptive_target": 0.3},
    {"mirostat": 1, "mirostat_tau": 3, "temperature": 0.5, "logit_bias": {3: 1.0}},
    {"repeat_last_n": -1, "dry_penalty_last_n": -1},
    {"logprobs": 0},
    {"logprobs": 100},
]


@pytest.mark.parametrize("values", GOOD)
def test_a_value_within_its_range_is_taken(values):
    """As it is; parameters stay hashable and equal to others like them."""
    params = SamplingParams(**values)
    assert params == SamplingParams(**values)
    assert hash(params) == hash(SamplingParams(**values))
    assert attrs.evolve(params) == params


def test_biases_are_kept_as_pairs_in_order():
    """Whatever they were given as."""
    expected = ((3, 2), (7, -math.inf))
    assert SamplingParams(logit_bias={7: -math.inf, 3: 2}).logit_bias == expected
    assert SamplingParams(logit_bias=[(7, -math.inf), (3, 2)]).logit_bias == expected


@pytest.mark.parametrize(
    ("name", "meant"),
    [("topk", "top_k"), ("temp", "temperature"), ("typical", "typ_p"), ("penalty", "penalties")],
)
def test_an_unknown_sampler_comes_with_a_suggestion(name, meant):
    """Of those there are."""
    with pytest.raises(ParamsError, match=f"no sampler {name!r}") as caught:
        SamplingParams(samplers=("top_p", name))
    assert meant in caught.value.hint


def test_a_sampler_like_no_other_comes_with_a_list():
    """Of all there are."""
    with pytest.raises(ParamsError) as caught:
        SamplingParams(samplers=("zzzzzzz",))
    assert "penalties, dry, top_n_sigma" in caught.value.hint


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"samplers": ("top_k",), "temperature": 0.0}, "temperature=0.0 has no effect"),
        ({"samplers": (), "top_k": 3}, "'top_k' is not one of samplers"),
        ({"samplers": ("top_k",), "dry_multiplier": 1.0}, "'dry' is not one of samplers"),
        ({"adaptive_target": 0.5}, "'adaptive_p' is not one of samplers"),
        ({"mirostat_tau": 3.0}, "no effect without mirostat"),
        ({"mirostat": 2, "top_k": 3}, "top_k=3 has no effect with mirostat=2"),
        ({"mirostat": 1, "samplers": ("temperature",)}, "no effect with mirostat=1"),
        ({"mirostat": 1, "dynatemp_range": 0.5}, "no effect with mirostat=1"),
        ({"mirostat": 1, "min_keep": 2}, "no effect with mirostat=1"),
    ],
)
def test_a_value_that_no_sampler_reads_is_refused(values, said):
    """Instead of being passed over in silence."""
    with pytest.raises(ParamsError, match=said) as caught:
        SamplingParams(**values)
    assert caught.value.hint


def test_the_lookback_is_that_of_the_longest_window():
    """Minus one means the whole context."""
    assert SamplingParams().lookback(512) == 64
    assert SamplingParams(repeat_last_n=0, dry_penalty_last_n=0).lookback(512) == 0
    assert SamplingParams(repeat_last_n=100).lookback(512) == 100
    assert SamplingParams(dry_penalty_last_n=-1).lookback(512) == 512


def test_what_was_given_is_noted():
    """A default that was given is known from one that was not."""
    params = SamplingParams(temperature=0.8, top_k=3)
    assert params.given == {"temperature", "top_k"}
    assert SamplingParams().given == set()
    assert params == SamplingParams(top_k=3)
    assert hash(params) == hash(SamplingParams(top_k=3))


def test_what_was_given_is_kept():
    """By a change, which adds what it changes; by copies; by pickling."""
    params = SamplingParams(top_k=3)
    assert attrs.evolve(params, temperature=0.8).given == {"temperature", "top_k"}
    assert attrs.evolve(attrs.evolve(params), top_k=3).given == {"top_k"}
    assert pickle.loads(pickle.dumps(params)).given == {"top_k"}
    assert copy.deepcopy(params).given == {"top_k"}
    with pytest.raises(ParamsError, match="given"):
        SamplingParams(given=3)
