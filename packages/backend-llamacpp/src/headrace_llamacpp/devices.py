"""The devices of the machine, as ggml sees them."""

from __future__ import annotations

from typing import Any

import attrs

from headrace.errors import ParamsError
from headrace.params import ModelParams
from headrace_llamacpp._native import ffi, lib, text


@attrs.frozen
class Device:
    """A device that can compute."""

    name: str
    """What ``ModelParams.devices`` calls it, such as ``CUDA0``."""
    description: str
    is_cpu: bool
    """True also for accelerators that work on the CPU's memory."""
    pointer: Any = attrs.field(repr=False, eq=False)


def all_devices() -> list[Device]:
    """Every device, the CPU included."""
    on_cpu = (lib.GGML_BACKEND_DEVICE_TYPE_CPU, lib.GGML_BACKEND_DEVICE_TYPE_ACCEL)
    return [
        Device(
            name=text(lib.ggml_backend_dev_name(pointer)),
            description=text(lib.ggml_backend_dev_description(pointer)),
            is_cpu=lib.ggml_backend_dev_type(pointer) in on_cpu,
            pointer=pointer,
        )
        for pointer in map(lib.ggml_backend_dev_get, range(lib.ggml_backend_dev_count()))
    ]


def chosen_devices(params: ModelParams) -> list[Device]:
    """The devices beside the CPU that a model will use.

    Raises:
        ParamsError: If a name is not that of a device.
    """
    if params.n_gpu_layers == 0:
        return []
    if params.devices is None:
        return [device for device in all_devices() if not device.is_cpu]
    chosen = [find_device(name, "ModelParams.devices") for name in params.devices]
    return [device for device in chosen if not device.is_cpu]


def find_device(name: str, field: str) -> Device:
    """The device of a name, whatever its case.

    Raises:
        ParamsError: If there is none; it names the field that asks for it.
    """
    devices = all_devices()
    for device in devices:
        if device.name.lower() == name.lower():
            return device
    raise ParamsError(
        f"{field} names {name!r}, which is not there",
        hint=f"Devices: {', '.join(device.name for device in devices)}.",
        backend="llamacpp",
    )


def device_array(devices: list[Device]) -> Any:
    """A NULL-terminated array for ``llama_model_params.devices``; empty: the CPU alone."""
    return ffi.new("ggml_backend_dev_t[]", [*(each.pointer for each in devices), ffi.NULL])
