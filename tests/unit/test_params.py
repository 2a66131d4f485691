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
    (SamplingParams, "repeat_last_n", -2),
    (SamplingParams, "seed", -1),
    (SamplingParams, "seed", 2**32 - 1),
    (SamplingParams, "seed", 1.0),
    (ModelParams, "n_gpu_layers", -1),
    (ModelParams, "load_mode", "fast"),
    (ModelParams, "vocab_only", 1),
    (ModelParams, "devices", "CUDA0"),
    (ModelParams, "devices", ()),
    (ModelParams, "split_mode", "tensor"),
    (ModelParams, "lazy_mode", True),
    (ModelParams, "main_gpu", -1),
    (ModelParams, "tensor_split", ()),
    (ModelParams, "tensor_split", (0.0, 0)),
    (ModelParams, "tensor_split", (1, math.nan)),
    (ModelParams, "tensor_split", (-1.0, 2)),
    (ModelParams, "tensor_split", "1,2"),
    (ModelParams, "tensor_split", (10**400,)),
    (ModelParams, "kv_overrides", "general.name=x"),
    (ModelParams, "kv_overrides", ("general.name",)),
    (ModelParams, "tensor_devices", {"ffn"}),
    (ModelParams, "numa", "mirror"),
    (ModelParams, "check_memory", None),
    (EngineParams, "cache_type_k", "q4_k"),
    (EngineParams, "cache_type_v", None),
    (EngineParams, "rope_scaling", "dynamic"),
    (EngineParams, "rope_freq_base", 0),
    (EngineParams, "rope_freq_scale", math.inf),
    (EngineParams, "rope_freq_scale", 10**400),
    (EngineParams, "yarn_ext_factor", -1),
    (EngineParams, "yarn_attn_factor", "1"),
    (EngineParams, "yarn_beta_fast", True),
    (EngineParams, "yarn_beta_slow", math.nan),
    (EngineParams, "yarn_orig_ctx", 0),
    (EngineParams, "offload_kqv", 1),
    (EngineParams, "op_offload", None),
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


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({1: 2}, "the key must be a text of 1 to 127 bytes"),
        ({"": 2}, "the key must be a text"),
        ({"k" * 128: 2}, "the key must be a text"),
        ({"é" * 64: 2}, "the key must be a text"),
        ({"a\0b": 2}, "without NUL"),
        ({"\ud800": 2}, "the key must be a text"),
        ({"k": "v" * 128}, "the value of 'k' must be a text of 0 to 127 bytes"),
        ({"k": "a\0b"}, "without NUL"),
        ({"k": None}, "must be an int, float, bool or str"),
        ({"k": b"v"}, "must be an int, float, bool or str"),
        ({"k": 2**63}, "64 bits"),
        ({"k": -(2**63) - 1}, "64 bits"),
        ({"k": math.inf}, "finite"),
        ((("k", 1), ("k", 2)), "more than once"),
    ],
)
def test_an_override_that_llama_cpp_could_not_hold_is_refused(pairs, message):
    """Its buffers are fixed: what does not fit is named, and nothing is cut."""
    with pytest.raises(ParamsError, match=message) as caught:
        ModelParams(kv_overrides=pairs)
    assert "ModelParams.kv_overrides" in str(caught.value)


def test_overrides_at_the_edges_are_allowed():
    """127 bytes, an empty text, and the largest integers."""
    edges = {"k" * 127: "v" * 127, "empty": "", "low": -(2**63), "high": 2**63 - 1, "on": True}
    params = ModelParams(kv_overrides=edges)
    assert dict(params.kv_overrides) == edges
    assert hash(attrs.evolve(params)) == hash(params)


def test_quantized_values_without_flash_attention_are_refused():
    """Both fields are named, and what to do instead."""
    with pytest.raises(ParamsError, match=r"cache_type_v='q8_0'.*flash_attention is False.*f16"):
        EngineParams(cache_type_v="q8_0", flash_attention=False)
    EngineParams(cache_type_v="q8_0")
    EngineParams(cache_type_k="q8_0", flash_attention=False)


@pytest.mark.parametrize(
    ("asked", "trained", "tokens"),
    [(None, 0, 4096), (None, 512, 512), (None, 32768, 4096), (100, 0, 100), (32768, 512, 32768)],
)
def test_a_context_is_as_long_as_asked_for(asked, trained, tokens):
    """Else as the model's, at most 4096; the only place that says so."""
    assert EngineParams(n_ctx=asked).context_length(trained) == tokens
