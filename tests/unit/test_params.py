"""Settings are checked when they are made."""

from __future__ import annotations

import math

import attrs
import pytest

from headrace import EngineParams, ModelParams, ParamsError, SamplingParams, SessionParams

BAD = [
    (SamplingParams, "temperature", math.nan),
    (SamplingParams, "temperature", math.inf),
    (SamplingParams, "temperature", -0.1),
    (SamplingParams, "temperature", "hot"),
    (SamplingParams, "temperature", None),
    (SamplingParams, "top_k", -1),
    (SamplingParams, "top_k", 1.5),
    (SamplingParams, "top_k", True),
    (SamplingParams, "top_k", 2**31),
    (SamplingParams, "top_p", 0),
    (SamplingParams, "top_p", 1.01),
    (SamplingParams, "min_p", -0.01),
    (SamplingParams, "min_p", 2),
    (SamplingParams, "repeat_penalty", 0),
    (SamplingParams, "repeat_last_n", -1),
    (SamplingParams, "seed", -1),
    (SamplingParams, "seed", 2**32 - 1),
    (SamplingParams, "seed", 1.0),
    (ModelParams, "n_gpu_layers", -1),
    (ModelParams, "load_mode", "fast"),
    (ModelParams, "vocab_only", 1),
    (ModelParams, "devices", "CUDA0"),
    (ModelParams, "devices", ()),
    (EngineParams, "n_ctx", 0),
    (EngineParams, "n_sequences", 0),
    (EngineParams, "n_batch", 0),
    (EngineParams, "n_threads", -2),
    (EngineParams, "flash_attention", "yes"),
    (EngineParams, "lookahead", 0),
    (SessionParams, "reproducible", None),
]


@pytest.mark.parametrize(("cls", "name", "value"), BAD)
def test_a_value_outside_its_range_is_refused(cls, name, value):
    """The message names the field, the value and what is allowed."""
    with pytest.raises(ParamsError) as caught:
        cls(**{name: value})
    assert f"{cls.__name__}.{name} must be" in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("cls", "given", "meant"),
    [
        (SamplingParams, "temprature", "temperature"),
        (SamplingParams, "topk", "top_k"),
        (EngineParams, "n_thread", "n_threads"),
        (ModelParams, "vocabonly", "vocab_only"),
        (SessionParams, "reproducable", "reproducible"),
    ],
)
def test_a_mistyped_name_gets_a_suggestion(cls, given, meant):
    """Not a TypeError from the depths of a generated method."""
    with pytest.raises(ParamsError, match=f"Did you mean '{meant}'"):
        cls(**{given: 1})


def test_a_name_like_no_other_gets_the_list():
    """Of all there are."""
    with pytest.raises(ParamsError, match="Known: temperature, top_k"):
        SamplingParams(zzz=1)


@pytest.mark.parametrize("cls", [EngineParams, ModelParams, SamplingParams, SessionParams])
def test_the_defaults_are_valid_and_frozen(cls):
    """And every field is documented, in the order it is defined."""
    params = cls()
    assert attrs.evolve(params) == params
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        params.anything = 1


def test_the_edges_of_the_ranges_are_allowed():
    """Seeds up to 2³²−2, greedy, and switches off."""
    SamplingParams(seed=0)
    SamplingParams(seed=2**32 - 2)
    SamplingParams(temperature=0, top_k=0, top_p=1, min_p=0, repeat_last_n=0)
