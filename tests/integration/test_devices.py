"""Devices and what a model computes with, as llama.cpp tells."""

from __future__ import annotations

import headrace
from headrace import EngineParams
from headrace_llamacpp import LlamaCppBackend
from headrace_llamacpp._native import build_info
from tests.support import tiny_gguf


def test_the_cpu_is_a_device_with_the_memory_of_the_machine():
    """Free is what this process can still get, so it is never more than there is."""
    found = headrace.devices(backend="llamacpp")
    (cpu,) = [each for each in found if each.kind == "cpu"]
    assert (cpu.name, cpu.backend, cpu.library) == ("CPU", "llamacpp", "CPU")
    assert 0 < cpu.memory_free <= cpu.memory_total
    assert {each.name for each in found} <= {each.name for each in headrace.devices()}


def test_every_device_can_be_named_in_the_params(load):
    """What is listed is what ``ModelParams.devices`` takes."""
    for device in headrace.devices(backend="llamacpp"):
        assert load("attention", devices=(device.name,), n_gpu_layers=0) is not None


def test_a_model_tells_build_kernels_threads_and_libraries():
    """Each from where it is known: the build's record, ggml's list of features, the settings."""
    engine = EngineParams(n_threads=1, n_threads_batch=2)
    with headrace.load_model(tiny_gguf.path("attention"), engine=engine) as model:
        info = model.system_info()
        assert info.build == model.info.build
    assert info.options == build_info.cmake_options
    assert info.compiler == build_info.compiler
    assert (info.n_threads, info.n_threads_batch) == (1, 2)
    assert info.devices[0] == "CPU"
    assert set(info.kernels) == {
        name for name, value in info.features["CPU"].items() if value == "1"
    }
    assert all(name in info.build for name in info.kernels)
    assert any("llama" in name for name in info.libraries)


def test_the_build_is_known_without_the_extension():
    """The commit that the libraries were built from."""
    build = LlamaCppBackend().build()
    assert build == f"llama.cpp {build_info.llama_cpp_commit[:10]}"
