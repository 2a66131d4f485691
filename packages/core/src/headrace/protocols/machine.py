"""Optional protocols about the machine, for backends that know something of it.

A backend object may have any of these methods beside those of ``Backend``; a
``DecoderModel`` may have ``system_info``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from headrace.machine import Device, DeviceMemory, MemoryEstimate, SystemInfo
from headrace.params import EngineParams
from headrace.protocols.waist import LoadRequest


@runtime_checkable
class ListsDevices(Protocol):
    """A backend that knows the devices it can use."""

    def devices(self) -> Sequence[Device]:
        """All of them, the CPU included; may import native code.

        Raises:
            BackendUnavailableError: If something it needs for that cannot be imported.
        """
        ...


@runtime_checkable
class EstimatesMemory(Protocol):
    """A backend that knows what a model will need before it is loaded."""

    def estimate(self, request: LoadRequest) -> MemoryEstimate:
        """What the model and one context of it would need.

        Raises:
            ModelError: What ``load`` would raise for the same file.
            UnsupportedError: If it cannot tell for this model.
        """
        ...


@runtime_checkable
class TellsBuild(Protocol):
    """A backend that says which native library it has without importing it."""

    def build(self) -> str:
        """One line for people, such as ``llama.cpp 0c1e57098b``."""
        ...


@runtime_checkable
class TellsSystem(Protocol):
    """A ``DecoderModel`` that knows what it computes with."""

    def system_info(self, params: EngineParams) -> SystemInfo:
        """What a context with these settings computes with."""
        ...


@runtime_checkable
class TellsMemory(Protocol):
    """A ``SequenceDecoder`` that knows what it has taken; called by the driver alone."""

    def device_memory(self) -> Sequence[DeviceMemory]:
        """What the context and its model take of each device's memory."""
        ...
