"""The same on a GPU, where there is one."""

from __future__ import annotations

import pytest

import headrace
from headrace import EngineParams, ModelParams, SamplingParams
from tests.support import tiny_gguf

GPUS = [each for each in headrace.devices(backend="llamacpp") if each.kind in ("gpu", "igpu")]

pytestmark = pytest.mark.skipif(
    not GPUS, reason="headrace.devices() shows no GPU that llama.cpp was built for"
)

GREEDY = SamplingParams(temperature=0.0)
ENGINE = EngineParams(n_ctx=4096, n_sequences=2, n_threads=1)


def _written(params: ModelParams, n_tokens: int = 8) -> tuple[int, ...]:
    path = tiny_gguf.path("attention")
    model = headrace.load_model(path, params=params, engine=ENGINE)
    with model, model.open_session() as session:
        return session.complete("the", sampling=GREEDY, max_tokens=n_tokens).tokens


@pytest.mark.parametrize("device", GPUS, ids=lambda device: device.name)
def test_a_model_on_a_gpu_begins_as_on_the_cpu(device):
    """Kernels round differently, so only the first tokens are promised to be the same."""
    on_gpu = _written(ModelParams(devices=(device.name,)))
    assert len(on_gpu) == 8
    assert on_gpu[:2] == _written(ModelParams(n_gpu_layers=0))[:2]


@pytest.mark.parametrize("n_gpu_layers", [0, 1, None])
def test_layers_are_kept_where_they_were_asked_for(n_gpu_layers):
    """The memory of the GPU is used exactly if there is a layer on it."""
    params = ModelParams(devices=(GPUS[0].name,), n_gpu_layers=n_gpu_layers)
    needed = headrace.estimate_memory(tiny_gguf.path("attention"), params=params, engine=ENGINE)
    there = [each.weights for each in needed.devices if each.device == GPUS[0].name]
    assert bool(sum(there)) is (n_gpu_layers != 0)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        assert (GPUS[0].name in model.system_info().devices) is (n_gpu_layers != 0)


def test_a_prefill_that_cannot_be_interrupted_is_cut():
    """A cancel takes effect with the end of the running chunk, not of the whole prompt."""
    engine = EngineParams(n_ctx=8192, n_batch=8192, n_sequences=1, n_threads=1)
    with headrace.load_model(tiny_gguf.path("attention"), engine=engine) as model:
        with model.open_session() as session:
            stream = session.generate("the " * 1900, sampling=GREEDY, max_tokens=1)
            assert len(list(stream)) <= 1
            assert stream.result.usage.completion_tokens == 1
            assert stream.statistics().steps > 1
        assert headrace.Capability.INTERRUPT not in model.capabilities


def test_a_model_too_large_for_the_gpu_is_refused_before_it_is_loaded():
    """A context of more memory than the device has."""
    engine = EngineParams(n_ctx=2**31 - 1, n_sequences=1, n_threads=1)
    model = headrace.load_model(tiny_gguf.path("attention"), engine=engine)
    with model, pytest.raises(headrace.ModelMemoryError):
        model.open_session()
