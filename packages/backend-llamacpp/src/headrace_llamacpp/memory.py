"""Memory: what a model will need, what there is, and an error where the one exceeds the other.

A process that takes more than there is gets killed, with no error to catch. So
before weights are loaded and before a context is made their sizes are compared
with what is free. The exact numbers come from llama.cpp, which goes through the
motions without allocating; that reads the file's whole vocabulary, so it is done
only where a bound that is found at once does not fit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from headrace.errors import HeadraceError, ModelMemoryError, UnsupportedError
from headrace.params import EngineParams, ModelParams
from headrace.params.engine import DEFAULT_N_CTX
from headrace.results.machine import DeviceMemory, MemoryEstimate
from headrace_llamacpp import logs
from headrace_llamacpp._native import ffi, lib, new_report, text
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.available import Available, available
from headrace_llamacpp.context import native_params, open_error
from headrace_llamacpp.devices import all_devices, chosen_devices, memory_of
from headrace_llamacpp.failures import check
from headrace_llamacpp.loader import load_error
from headrace_llamacpp.requests import native_params as native_model_params
from headrace_llamacpp.shards import size_of

_MOST_KINDS = 64
_SMALLEST = EngineParams(n_ctx=256, n_sequences=1, n_batch=32, n_ubatch=32, n_threads=1)
_UNKNOWN_TO_FILES = "the machine"
_MAPPING = ("auto", "mmap")
_LARGE = 2**22
"""Tokens of a context that llama.cpp does not go through the motions for: it keeps a record of each
cell even then, so that a number with a few zeros too many takes all memory there is."""
_CELL = 52
"""Bytes of such a record."""
_IN_FILE_ORDER = ("CPU", "_Host")
"""Kinds of host buffers that hold weights as the file does, so that the file can be mapped."""


def estimate(path: Path, params: ModelParams, engine: EngineParams) -> MemoryEstimate:
    """What a model and a context of it would need.

    Raises:
        ModelError: If the model or the context would be refused.
        UnsupportedError: If the vocabulary alone is asked for, or llama.cpp does not tell.
    """
    if params.vocab_only:
        raise UnsupportedError(
            "a vocabulary alone opens no session, so there is nothing to estimate",
            hint="Leave vocab_only out.",
            backend="llamacpp",
        )
    if engine.n_ctx is not None and engine.n_ctx > _LARGE:
        return _extrapolated(path, params, engine, engine.n_ctx)
    native, kept = native_model_params(params)
    settings = native_params(engine, engine.n_ctx or 0)
    buffers = ffi.new("hr_buffers[]", _MOST_KINDS)
    count, n_ctx = ffi.new("int32_t *"), ffi.new("uint32_t *")
    report = new_report()
    lib.hr_estimate(
        os.fsencode(path), native, settings, DEFAULT_N_CTX, n_ctx, buffers, _MOST_KINDS, count,
        report,
    )  # fmt: skip
    del kept
    if report.status == lib.HR_LOAD_FAILED:
        raise load_error(report, path, params)
    if report.status == lib.HR_CONTEXT_FAILED:
        raise open_error(report, n_ctx[0])
    check(report, Operation.ESTIMATE)
    logs.drain()
    maps = params.load_mode in _MAPPING and lib.llama_supports_mmap()
    told = [buffers[index] for index in range(count[0])]
    return MemoryEstimate(backend="llamacpp", n_ctx=n_ctx[0], devices=_by_device(told, maps=maps))


def _extrapolated(
    path: Path, params: ModelParams, engine: EngineParams, n_ctx: int
) -> MemoryEstimate:
    """What a very long context would need: all of it grows with the length in one proportion."""
    half, whole = (
        estimate(path, params, attrs.evolve(engine, n_ctx=length))
        for length in (_LARGE // 2, _LARGE)
    )
    devices = []
    for less, more in zip(half.devices, whole.devices, strict=True):
        cache = _continued(less.cache, more.cache, n_ctx)
        compute = _continued(less.compute, more.compute, n_ctx)
        if more.device == "CPU" and cache > more.cache:
            cache += _CELL * n_ctx  # the records themselves
        devices.append(attrs.evolve(more, cache=cache, compute=compute))
    return MemoryEstimate(backend="llamacpp", n_ctx=n_ctx, devices=tuple(devices))


def _continued(half: int, whole: int, n_ctx: int) -> int:
    """Bytes for a length, from those for two others."""
    return whole + (whole - half) * (n_ctx - _LARGE) // (_LARGE // 2)


def in_use(contexts: Sequence[Any]) -> tuple[DeviceMemory, ...]:
    """What open contexts and their model have, in the same words as an estimate."""
    buffers = ffi.new("hr_buffers[]", _MOST_KINDS * len(contexts))
    count, report = ffi.new("int32_t *"), new_report()
    told: list[Any] = []
    for context in contexts:
        free = buffers + len(told)
        lib.hr_context_memory(context, free, _MOST_KINDS, count, report)
        check(report, Operation.ESTIMATE)
        for each in free[0 : count[0]]:
            if context is not contexts[0]:
                each.weights = 0  # the first has told them
            told.append(each)
    return _by_device(told, maps=False)


def check_weights(path: Path, params: ModelParams) -> None:
    """Refuse to load what does not fit.

    Args:
        path: The model's first file.
        params: How it will be loaded.

    Raises:
        ModelMemoryError: Saying what is needed, what there is and what sets the limit.
    """
    if not params.check_memory or params.vocab_only:
        return
    there = free_memory()
    if not chosen_devices(params) and _roomy(size_of(path), there):
        return
    try:
        needed = estimate(path, params, _SMALLEST)
    except HeadraceError:
        return  # the load itself will say what is wrong
    for each in needed.devices:
        weights = attrs.evolve(each, cache=0, compute=0)
        if not weights.fits:
            raise _too_much(f"the model file {os.fspath(path)!r} needs", weights, _SMALLER_MODEL)


def check_context(path: Path, params: ModelParams, engine: EngineParams, bound: int | None) -> None:
    """Refuse to open what does not fit.

    Args:
        path: The model's first file.
        params: How the model was loaded.
        engine: Settings of the context.
        bound: Bytes that a context on the CPU takes at most; None: unknown.

    Raises:
        ModelMemoryError: Saying what is needed, what there is and what sets the limit.
    """
    if not params.check_memory and (engine.n_ctx or 0) <= _LARGE:
        return  # tried all the same, unless it is certain to take all memory there is
    there = free_memory()
    if bound is not None and not chosen_devices(params) and _roomy(_RESERVE * bound, there):
        return
    try:
        needed = estimate(path, params, engine)
    except HeadraceError:
        return  # opening it will say what is wrong
    for each in needed.devices:
        context = attrs.evolve(each, weights=0, mapped=0)  # they are loaded already
        if not context.fits:
            what = f"a context of {needed.n_ctx} tokens needs"
            tried = "" if needed.n_ctx > _LARGE else _TRIES
            raise _too_much(what, context, _SMALLER_CONTEXT + tried)


def context_bound(
    params: EngineParams,
    *,
    n_ctx: int,
    n_layer: int,
    n_head: int,
    head_sizes: int,
    n_embd: int,
    n_vocab: int,
) -> int:
    """More bytes than a context of a network with attention takes on the CPU.

    Args:
        params: Its settings.
        n_ctx: Its length, in tokens.
        n_layer: Layers of the network.
        n_head: Heads of a layer; keys and values may be shared by several.
        head_sizes: Numbers in a head's key and value together.
        n_embd: Numbers that stand for a token between layers.
        n_vocab: Tokens of the vocabulary.
    """
    cells = n_ctx + 256 * params.n_sequences  # each part is rounded up
    cache = cells * n_layer * n_head * head_sizes * 4
    scores = params.n_ubatch * cells * (n_head + 2) * 4
    activations = params.n_ubatch * n_embd * _WIDEST * 4
    outputs = params.n_sequences * (n_vocab + n_embd) * 4 * 2
    return cache + scores + activations + outputs


_RESERVE = 2
"""For what the bound may not know of some network."""

_WIDEST = 64
"""More than the numbers of a token in all that is alive inside a layer, in units of ``n_embd``."""

_SMALLER_MODEL = (
    "Use a smaller or more quantized model; ModelParams(check_memory=False) tries all the same."
)
_SMALLER_CONTEXT = (
    "Lower EngineParams.n_ctx, n_sequences or n_ubatch, or choose a smaller cache_type_k and "
    "cache_type_v."
)
_TRIES = " ModelParams(check_memory=False) tries all the same."


def free_memory() -> Available:
    """What this process can still get of the machine's memory."""
    found = available()
    if found.free is None:
        cpu = next((each for each in all_devices() if each.is_cpu), None)
        free, total = memory_of(cpu) if cpu is not None else (0, 0)
        if total:
            return attrs.evolve(found, free=free, limit=_UNKNOWN_TO_FILES)
    return found


def _roomy(n_bytes: int, there: Available) -> bool:
    fits = there.free is None or n_bytes <= there.free
    return fits and (there.address_space is None or n_bytes <= there.address_space)


def _too_much(what: str, needed: DeviceMemory, hint: str) -> ModelMemoryError:
    if needed.free is not None and needed.required > needed.free:
        bytes_needed, bytes_free, limit = needed.required, needed.free, needed.limit
    else:
        bytes_needed, bytes_free = needed.total, needed.address_space or 0
        limit = "RLIMIT_AS"
    return ModelMemoryError(
        f"{what} {_mib(bytes_needed)} of memory on {needed.device}, and {_mib(bytes_free)} are "
        f"free ({limit})",
        hint=hint,
        backend="llamacpp",
    )


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.0f} MiB"


def _by_device(buffers: Sequence[Any], *, maps: bool) -> tuple[DeviceMemory, ...]:
    devices = all_devices()
    there = free_memory()
    found = {"CPU": DeviceMemory(
        device="CPU", weights=0, free=there.free, limit=there.limit,
        address_space=there.address_space,
    )}  # fmt: skip
    for each in buffers:
        name = "CPU"
        if not each.host and each.device >= 0 and not devices[each.device].is_cpu:
            device = devices[each.device]
            name = device.name
            free, total = memory_of(device)
            found.setdefault(
                name,
                DeviceMemory(
                    device=name, weights=0, free=free if total else None, limit="its own memory"
                ),
            )
        in_file_order = text(each.name).endswith(_IN_FILE_ORDER)
        mapped = each.weights if maps and name == "CPU" and in_file_order else 0
        found[name] = _sum(found[name], each, mapped)
    return tuple(found.values())


def _sum(known: DeviceMemory, more: Any, mapped: int) -> DeviceMemory:
    return attrs.evolve(
        known,
        weights=known.weights + more.weights,
        mapped=known.mapped + mapped,
        cache=known.cache + more.cache,
        compute=known.compute + more.compute,
    )
