"""The devices of the machine, as ggml sees them."""

from __future__ import annotations

from typing import Any

import attrs

from headrace.errors import ParamsError
from headrace.params import ModelParams
from headrace_llamacpp._native import ffi, lib, new_report, text
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check

_KINDS: dict[int, str] = {
    lib.GGML_BACKEND_DEVICE_TYPE_CPU: "cpu",
    lib.GGML_BACKEND_DEVICE_TYPE_GPU: "gpu",
    lib.GGML_BACKEND_DEVICE_TYPE_IGPU: "igpu",
    lib.GGML_BACKEND_DEVICE_TYPE_ACCEL: "accelerator",
}


@attrs.frozen
class Device:
    """A device that can compute."""

    name: str
    """What ``ModelParams.devices`` calls it, such as ``CUDA0``."""
    description: str
    kind: str
    """As in ``headrace.Device``."""
    library: str
    """The part of ggml that drives it."""
    is_cpu: bool
    """True also for accelerators that work on the CPU's memory."""
    index: int
    """Its number in ggml."""
    pointer: Any = attrs.field(repr=False, eq=False)


def all_devices() -> list[Device]:
    """Every device, the CPU included."""
    on_cpu = (lib.GGML_BACKEND_DEVICE_TYPE_CPU, lib.GGML_BACKEND_DEVICE_TYPE_ACCEL)
    return [
        Device(
            name=text(lib.ggml_backend_dev_name(pointer)),
            description=text(lib.ggml_backend_dev_description(pointer)),
            kind=_KINDS.get(lib.ggml_backend_dev_type(pointer), "accelerator"),
            library=text(lib.ggml_backend_reg_name(lib.ggml_backend_dev_backend_reg(pointer))),
            is_cpu=lib.ggml_backend_dev_type(pointer) in on_cpu,
            index=index,
            pointer=pointer,
        )
        for index, pointer in enumerate(
            map(lib.ggml_backend_dev_get, range(lib.ggml_backend_dev_count()))
        )
    ]


def memory_of(device: Device) -> tuple[int, int]:
    """Bytes free and in all; 0 and 0 if it does not tell."""
    free, total, report = ffi.new("uint64_t *"), ffi.new("uint64_t *"), new_report()
    lib.hr_device_memory(device.index, free, total, report)
    check(report, Operation.MACHINE)
    return free[0], total[0]


def features_of(device: Device) -> dict[str, str]:
    """What the kernels of a device were compiled with or found, by ggml's names."""
    name, value = ffi.new("const char **"), ffi.new("const char **")
    found: dict[str, str] = {}
    report = new_report()
    while True:
        lib.hr_device_feature(device.index, len(found), name, value, report)
        check(report, Operation.MACHINE)
        if name[0] == ffi.NULL or text(name[0]) in found:
            return found
        found[text(name[0])] = text(value[0])


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
