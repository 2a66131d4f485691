"""What a machine has and what a model needs of it: frozen values, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Device:
    """Something that can compute."""

    name: str
    """What ``ModelParams.devices`` calls it, such as ``CPU`` or ``CUDA0``."""
    description: str
    """One line for people."""
    kind: str
    """``cpu``; ``gpu`` with memory of its own; ``igpu``, which shares the machine's; or
    ``accelerator``, which works on the CPU's memory beside it."""
    backend: str
    """Name of the backend that can use it."""
    library: str
    """The part of the backend that drives it, such as ``CUDA`` or ``Vulkan``."""
    memory_total: int | None = None
    """Bytes of memory; None where it does not tell."""
    memory_free: int | None = None
    """Bytes of it that are free now; None where it does not tell."""


@attrs.frozen(kw_only=True)
class DeviceMemory:
    """What is needed of the memory of one device, in bytes."""

    device: str
    """Its name; ``CPU`` stands for the memory of the machine."""
    weights: int
    """Weights that are kept there, the mapped ones included."""
    mapped: int = 0
    """The part of them that is mapped from the file: it uses memory while there is some, and can be
    read again when there is not."""
    cache: int = 0
    """Keys and values of attention, or the state of a recurrent network."""
    compute: int = 0
    """Intermediate results."""
    free: int | None = None
    """What is free there; None where it is unknown."""
    limit: str = ""
    """What ``free`` comes from, such as ``MemAvailable`` or ``cgroup memory.max``."""
    address_space: int | None = None
    """Addresses that the process may still use (``RLIMIT_AS``); None: no limit."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.compute

    @property
    def required(self) -> int:
        """What has to be there: all but the mapped weights."""
        return self.total - self.mapped

    @property
    def fits(self) -> bool:
        """Whether what is required fits what is free, and everything the address space."""
        roomy = self.free is None or self.required <= self.free
        return roomy and (self.address_space is None or self.total <= self.address_space)


class OnDevices:
    """What is spread over devices, summed up."""

    devices: tuple[DeviceMemory, ...]

    @property
    def weights(self) -> int:
        """Bytes of weights, on all devices."""
        return sum(each.weights for each in self.devices)

    @property
    def cache(self) -> int:
        """Bytes of cache and state, on all devices."""
        return sum(each.cache for each in self.devices)

    @property
    def compute(self) -> int:
        """Bytes for intermediate results, on all devices."""
        return sum(each.compute for each in self.devices)

    @property
    def total(self) -> int:
        """Bytes of everything."""
        return sum(each.total for each in self.devices)


@attrs.frozen(kw_only=True)
class MemoryEstimate(OnDevices):
    """What a model and one context of it will need, found out without loading it."""

    backend: str
    """Name of the backend that would load it."""
    n_ctx: int
    """The context length it is for, in tokens."""
    devices: tuple[DeviceMemory, ...]
    """For each device that would be used."""

    @property
    def fits(self) -> bool:
        """Whether it fits on every device."""
        return all(each.fits for each in self.devices)


@attrs.frozen(kw_only=True)
class SystemInfo:
    """What a loaded model computes with."""

    backend: str
    """Name of the backend."""
    build: str
    """Version of the native library and what it was compiled for, as in receipts."""
    options: tuple[str, ...] = ()
    """How the native library was configured."""
    compiler: str = ""
    """What it was compiled with."""
    features: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    """For each part of the library that drives a kind of device: what it was compiled with or
    found on this machine, such as ``{"CPU": {"AVX2": "1"}}``."""
    kernels: tuple[str, ...] = ()
    """The features of the CPU that its kernels use."""
    libraries: tuple[str, ...] = ()
    """Names of the native library's files; a portable build has several for one purpose."""
    devices: tuple[str, ...] = ()
    """Names of the devices that the model uses, the CPU included."""
    n_threads: int = 1
    """Threads that decode; the most of them, where nobody said a number."""
    n_threads_batch: int = 1
    """Threads that prefill, likewise."""


@attrs.frozen(kw_only=True)
class MemoryUsage(OnDevices):
    """What a loaded model and its context have taken."""

    backend: str
    """Name of the backend."""
    devices: tuple[DeviceMemory, ...]
    """For each device that is used."""
    n_ctx: int
    """Cells of memory for all sessions together, in tokens; what is apart not counted."""
    n_ctx_sequence: int
    """Most tokens of one session."""
    n_sequences: int
    """Sessions that can be in memory at the same time; what is apart not counted."""
    resident: int
    """Sessions that are."""
    cells: int
    """Tokens of theirs in memory; a beginning that several share is counted for each."""


@attrs.frozen(kw_only=True)
class SessionMemory:
    """What one session has in memory."""

    tokens: int
    """Tokens of its history."""
    cells: int
    """Tokens of it in the context's memory; the rest is computed when the session goes on."""
    stored_bytes: int
    """Bytes that wait to be put there: a loaded state, or what has made way for another session."""
    n_ctx_sequence: int
    """Most tokens it can have."""
