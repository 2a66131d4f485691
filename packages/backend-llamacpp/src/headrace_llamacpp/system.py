"""What llama.cpp is and computes with on this machine."""

from __future__ import annotations

from headrace.params import EngineParams, ModelParams
from headrace.results.machine import Device, SystemInfo
from headrace_llamacpp import build
from headrace_llamacpp._native import build_info, library_files
from headrace_llamacpp.devices import all_devices, chosen_devices, features_of, memory_of
from headrace_llamacpp.memory import free_memory
from headrace_llamacpp.threads import default_threads


def devices() -> tuple[Device, ...]:
    """Every device, for users."""
    found = []
    there = free_memory()
    for each in all_devices():
        free, total = memory_of(each)
        if each.is_cpu:
            # ggml calls all of it free.
            free = there.free if there.free is not None else free
        found.append(
            Device(
                name=each.name,
                description=each.description,
                kind=each.kind,
                backend="llamacpp",
                library=each.library,
                memory_total=total or None,
                memory_free=free if total else None,
            )
        )
    return tuple(found)


def system_info(params: ModelParams, engine: EngineParams) -> SystemInfo:
    """What a context of a model computes with."""
    used = [each for each in all_devices() if each.is_cpu] + chosen_devices(params)
    n_threads = engine.n_threads or default_threads()
    return SystemInfo(
        backend="llamacpp",
        build=build.description(),
        options=build_info.cmake_options,
        compiler=build_info.compiler,
        features={each.library: features_of(each) for each in all_devices()},
        kernels=build.kernels(),
        libraries=library_files(),
        devices=tuple(each.name for each in used),
        n_threads=n_threads,
        n_threads_batch=engine.n_threads_batch or n_threads,
    )
