"""What a backend object may have beside the methods of ``Backend``.

Every one of these protocols is optional; headrace looks whether the object has the methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    from headrace.backend.backend import LoadRequest
    from headrace.model import Model
    from headrace.results.diagnosis import BackendDiagnosis
    from headrace.results.files import FileInfo
    from headrace.results.machine import Device, MemoryEstimate

Progress = Callable[[float], "bool | None"]


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
class Diagnoses(Protocol):
    """A backend that knows how it is."""

    def diagnose(self) -> BackendDiagnosis:
        """What it consists of and computes with; may import native code.

        What is wrong becomes a finding; what is raised becomes one too, of the core's.
        """
        ...


@runtime_checkable
class ServesDevices(Protocol):
    """A backend whose models can be spread over several machines."""

    def serve_devices(self, host: str, port: int, *, n_threads: int | None) -> None:
        """Serve the devices of this machine, in this thread, until the process ends.

        Args:
            host: Address to listen on.
            port: Its port.
            n_threads: Threads to compute with; None: the physical cores.

        Raises:
            UnsupportedError: If the native library was built without it.
            BackendError: If it cannot, or no longer; the native library writes to stderr why.
        """
        ...


@attrs.frozen(kw_only=True)
class QuantizeRequest:
    """What ``quantize_model`` hands to a backend."""

    source: Path
    target: Path
    """Does not exist; written by the backend, renamed by the caller."""
    type: str
    n_threads: int | None
    allow_requantize: bool
    keep_output: bool
    pure: bool
    progress: Progress | None


@runtime_checkable
class ModelFiles(Protocol):
    """A backend that can look into model files and rewrite them."""

    def inspect(self, path: str) -> FileInfo:
        """What a file says of itself; no tensor is read.

        Raises:
            ModelError: One of its subclasses.
        """
        ...

    def quantization_types(self) -> tuple[str, ...]:
        """The types that ``quantize`` knows."""
        ...

    def quantize(self, request: QuantizeRequest) -> None:
        """Write a quantized copy.

        Raises:
            ModelError: One of its subclasses.
            ParamsError: If the type does not fit the model.
        """
        ...

    def split(
        self,
        path: str,
        prefix: Path,
        *,
        max_bytes: int | None,
        max_tensors: int | None,
        progress: Progress | None,
    ) -> list[Path]:
        """Write a file as several, whose names begin with the prefix; returns them in order."""
        ...

    def merge(self, path: str, target: Path, *, progress: Progress | None) -> None:
        """Write the shards, of which ``path`` is the first, as one file."""
        ...


@attrs.frozen
class FileStage:
    """A stage that a backend adds."""

    name: str
    needs: str | None
    """The stage without which it makes no sense; None: it can always be run."""
    run: Callable[[], str]
    """Looks at the file; returns a few words about what it found, or raises a
    ``HeadraceError``. It may end the process, too."""


@runtime_checkable
class ChecksFiles(Protocol):
    """A backend that can look at a file more closely than by loading it."""

    def file_stages(self, path: str) -> Sequence[FileStage]:
        """The stages for a file, in order. Nothing of the file is looked at yet.

        The stage ``load`` is run if the last of them passed.
        """
        ...

    def has_chat_template(self, model: Model) -> bool:
        """Whether a model that was loaded has a template to be rendered."""
        ...
