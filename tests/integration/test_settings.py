"""Settings of loading and of contexts, each by what it changes."""

from __future__ import annotations

import pytest

from headrace.errors import ParamsError
from headrace.params import EngineParams
from headrace.params.engine import CACHE_TYPES
from tests.integration.driving import Driver, prompt
from tests.support import tiny_gguf
from tests.support.subprocesses import run_script

PROMPT = prompt(100)


@pytest.fixture
def written(load):
    """Greedy tokens after a prompt, with settings of a context and of loading."""

    def _written(model=None, **engine):
        driver = Driver(model or load("wide_heads"), EngineParams(n_ctx=512, n_threads=1, **engine))
        try:
            return driver.generate(0, PROMPT, 16)
        finally:
            driver.decoder.close()

    return _written


def test_an_override_replaces_metadata_and_changes_the_network(load, written):
    """What is told of the model, and what it computes, follow the override."""
    model = load("wide_heads", kv_overrides={"llama.rope.freq_base": 100.0, "general.name": "new"})
    assert model.info.name == "new"
    assert model.info.metadata["llama.rope.freq_base"] == "100.0"
    assert written(model) == written(rope_freq_base=100.0) != written()


def test_an_override_of_every_type_is_read(load):
    """An int, a bool and a text reach the model as such."""
    plain = load("attention")
    changed = load(
        "attention",
        kv_overrides={
            "llama.context_length": 77,
            "tokenizer.ggml.add_bos_token": False,
            "general.name": "ünïcode",
        },
    )
    assert changed.info.n_ctx_train == 77
    assert changed.info.name == "ünïcode"
    ids, others = (
        model.vocabulary.tokenize("the", add_special=True, parse_special=False)
        for model in (plain, changed)
    )
    assert ids == [tiny_gguf.BOS, *others]


def test_an_override_of_the_wrong_type_is_refused(load):
    """llama.cpp would warn and go on without it."""
    with pytest.raises(ParamsError, match=r"kv_overrides\['llama.rope.freq_base'\].*float.*int"):
        load("attention", kv_overrides={"llama.rope.freq_base": 100})


def test_overrides_can_turn_a_decoder_into_an_encoder(load):
    """What headrace itself reads from the metadata is overridden as well."""
    assert (
        "encoder"
        in load("attention", kv_overrides={"llama.attention.causal": False}).generate_hint()
    )


def test_shares_and_placement_do_no_harm_without_a_gpu(load, written):
    """One device: everything is on it."""
    model = load(
        "wide_heads",
        tensor_split=(3, 1),
        split_mode="row",
        main_gpu=5,
        no_host=True,
        lazy_mode="on",
        tensor_devices={r"ffn_(up|down)": "cpu"},
    )
    assert written(model) == written()


def test_more_shares_than_devices_can_be_is_refused(load):
    """With the most there can be."""
    with pytest.raises(ParamsError, match=r"tensor_split must have at most \d+ numbers, got 500"):
        load("attention", tensor_split=(1.0,) * 500)


@pytest.mark.parametrize(
    ("devices", "message"),
    [({"ffn": "Abacus"}, "tensor_devices names 'Abacus'.*CPU"), ({"(": "CPU"}, "tensor_devices")],
)
def test_a_placement_that_makes_no_sense_is_refused(load, devices, message):
    """A device that is not there, a pattern that is no regular expression."""
    with pytest.raises(ParamsError, match=message):
        load("attention", tensor_devices=devices)


@pytest.mark.parametrize("kind", CACHE_TYPES)
def test_a_cache_of_every_type_writes_as_far_as_it_is_exact(written, kind):
    """A cache of 32 bits starts as one of 16 does, and all of them write."""
    plain = written()
    other = written(cache_type_k=kind, cache_type_v=kind)
    assert len(other) == len(plain)
    if kind in ("f32", "f16", "bf16", "q8_0"):
        assert other[0] == plain[0]


def test_a_cache_type_that_does_not_suit_the_heads_is_refused(load):
    """Heads of 16 numbers cannot be quantized in blocks of 32."""
    with pytest.raises(ParamsError, match=r"cache_type_k does not suit.*block size 32.*f16"):
        load("attention").open_decoder(EngineParams(n_ctx=256, cache_type_k="q8_0"))
    with pytest.raises(ParamsError, match=r"cache_type_v does not suit"):
        load("attention").open_decoder(EngineParams(n_ctx=256, cache_type_v="q4_0"))


def test_linear_scaling_is_a_factor_of_the_positions(written):
    """``none`` ignores the factor, ``linear`` applies it."""
    assert written(rope_scaling="none", rope_freq_scale=0.25) == written()
    assert written(rope_scaling="linear", rope_freq_scale=0.25) != written()


YARN = {"rope_scaling": "yarn", "rope_freq_scale": 0.25, "yarn_orig_ctx": 8192}


def test_yarn_is_not_linear_scaling(written):
    """The same factor, but not for all dimensions."""
    assert written(**YARN) != written(rope_scaling="linear", rope_freq_scale=0.25)


@pytest.mark.parametrize(
    ("base", "change"),
    [
        ({}, {"yarn_ext_factor": 0.0}),
        ({"yarn_ext_factor": 0.0}, {"yarn_attn_factor": 3.0}),
        ({}, {"yarn_beta_fast": 500.0}),
        ({}, {"yarn_beta_slow": 20.0}),
        ({}, {"yarn_orig_ctx": 64}),
    ],
)
def test_every_number_of_yarn_has_an_effect(written, base, change):
    """Each changes what is written, and none of them by accident: twice the same is the same."""
    changed = written(**{**YARN, **base, **change})
    assert changed == written(**{**YARN, **base, **change})
    assert changed != written(**{**YARN, **base})


def test_offloading_switches_do_no_harm_without_a_gpu(written):
    """There is nothing to offload to."""
    assert written(offload_kqv=False, op_offload=False) == written()


def test_one_process_has_one_numa_strategy():
    """A second model may ask for the same, or for none; another one is an error."""
    ended = run_script(
        """
        from headrace.errors import ParamsError
        from headrace.params import ModelParams
        from tests.integration.driving import load_decoder_model
        from tests.support import tiny_gguf

        path = tiny_gguf.path("attention")
        for numa in ("distribute", "distribute", None):
            load_decoder_model(path, ModelParams(numa=numa)).close()
        try:
            load_decoder_model(path, ModelParams(numa="isolate"))
        except ParamsError as error:
            print(error)
        """
    )
    assert ended.code == 0, ended.errors
    assert "ModelParams.numa is 'isolate', but this process has used 'distribute'" in ended.output
    assert ended.errors == ""
