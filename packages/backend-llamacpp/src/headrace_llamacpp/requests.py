"""What ``ModelParams`` ask for, in ``llama_model_params``."""

from __future__ import annotations

from typing import Any

from headrace.errors import ParamsError
from headrace.params import ModelParams
from headrace_llamacpp._native import ffi, lib
from headrace_llamacpp.devices import chosen_devices, device_array, find_device

_LOAD_MODES = {
    "auto": lib.LLAMA_LOAD_MODE_AUTO,
    "none": lib.LLAMA_LOAD_MODE_NONE,
    "mmap": lib.LLAMA_LOAD_MODE_MMAP,
    "mlock": lib.LLAMA_LOAD_MODE_MLOCK,
    "mmap+mlock": lib.LLAMA_LOAD_MODE_MMAP_MLOCK,
    "direct_io": lib.LLAMA_LOAD_MODE_DIRECT_IO,
}
_LAZY_MODES = {
    "off": lib.LLAMA_LAZY_MODE_OFF,
    "auto": lib.LLAMA_LAZY_MODE_AUTO,
    "on": lib.LLAMA_LAZY_MODE_ON,
}
_SPLIT_MODES = {
    "none": lib.LLAMA_SPLIT_MODE_NONE,
    "layer": lib.LLAMA_SPLIT_MODE_LAYER,
    "row": lib.LLAMA_SPLIT_MODE_ROW,
}


def native_params(params: ModelParams) -> tuple[Any, list[Any]]:
    """``llama_model_params *``, and what must stay alive as long.

    Raises:
        ParamsError: If something is asked for that this machine does not have.
    """
    native = ffi.new("struct llama_model_params *", lib.llama_model_default_params())
    kept: list[Any] = []
    if params.n_gpu_layers is not None:
        native.n_gpu_layers = params.n_gpu_layers
    native.load_mode = _LOAD_MODES[params.load_mode]
    native.lazy_mode = _LAZY_MODES[params.lazy_mode]
    native.vocab_only = params.vocab_only
    native.check_tensors = params.check_tensors
    native.use_extra_bufts = params.use_extra_bufts
    native.no_host = params.no_host
    native.split_mode = _SPLIT_MODES[params.split_mode]
    native.main_gpu = _main_gpu(params)
    if params.devices is not None:
        kept.append(device_array(chosen_devices(params)))
        native.devices = kept[-1]
    if params.tensor_split is not None:
        kept.append(_tensor_split(params.tensor_split))
        native.tensor_split = kept[-1]
    if params.kv_overrides:
        kept.append(_overrides(params.kv_overrides))
        native.kv_overrides = kept[-1]
    if params.tensor_devices:
        kept += _tensor_devices(params.tensor_devices)
        native.tensor_buft_overrides = kept[-1]
    return native, kept


def overridden(metadata: dict[str, str], params: ModelParams) -> dict[str, str]:
    """Metadata as it was loaded: llama.cpp goes on telling what the file says."""
    changed = {key: _worded(value) for key, value in params.kv_overrides}
    return metadata | changed


def _worded(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _main_gpu(params: ModelParams) -> int:
    # llama.cpp looks at it in this mode only, and fails without naming the field.
    if params.split_mode != "none" or params.n_gpu_layers == 0:
        return params.main_gpu
    chosen = chosen_devices(params)
    if chosen and params.main_gpu >= len(chosen):
        names = ", ".join(device.name for device in chosen)
        raise ParamsError(
            f"ModelParams.main_gpu must be less than {len(chosen)}, got {params.main_gpu}",
            hint=f"Devices in use: {names}.",
            backend="llamacpp",
        )
    return params.main_gpu


def _tensor_split(shares: tuple[float, ...]) -> Any:
    most = lib.llama_max_devices()
    if len(shares) > most:
        raise ParamsError(
            f"ModelParams.tensor_split must have at most {most} numbers, got {len(shares)}",
            backend="llamacpp",
        )
    # llama.cpp reads as many as there can be, whatever was given.
    return ffi.new("float[]", [*map(float, shares), *[0.0] * (most - len(shares))])


def _overrides(pairs: tuple[tuple[str, Any], ...]) -> Any:
    array = ffi.new("struct llama_model_kv_override[]", len(pairs) + 1)
    for native, (key, value) in zip(array, pairs, strict=False):
        native.key = key.encode()
        if isinstance(value, bool):
            native.tag, native.val_bool = lib.LLAMA_KV_OVERRIDE_TYPE_BOOL, value
        elif isinstance(value, str):
            native.tag, native.val_str = lib.LLAMA_KV_OVERRIDE_TYPE_STR, value.encode()
        elif isinstance(value, int):
            native.tag, native.val_i64 = lib.LLAMA_KV_OVERRIDE_TYPE_INT, value
        else:
            native.tag, native.val_f64 = lib.LLAMA_KV_OVERRIDE_TYPE_FLOAT, float(value)
    return array


def _tensor_devices(pairs: tuple[tuple[str, str], ...]) -> list[Any]:
    array = ffi.new("struct llama_model_tensor_buft_override[]", len(pairs) + 1)
    kept: list[Any] = []
    for native, (pattern, name) in zip(array, pairs, strict=False):
        kept.append(ffi.new("char[]", pattern.encode()))
        native.pattern = kept[-1]
        device = find_device(name, "ModelParams.tensor_devices")
        native.buft = lib.ggml_backend_dev_buffer_type(device.pointer)
    return [*kept, array]
