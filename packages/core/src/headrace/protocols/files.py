"""What a backend may offer beside loading models: work on model files.

Optional: ``headrace.files`` asks a backend whether it is a ``ModelFiles``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs

Progress = Callable[[float], "bool | None"]


@attrs.frozen
class TensorInfo:
    """What a file says of one tensor."""

    name: str
    shape: tuple[int, ...]
    """Its dimensions as the file has them, the one whose elements are neighbours first."""
    type: str
    """Type of its elements, such as ``f32`` or ``q4_K``."""
    size_bytes: int


@attrs.frozen
class FileInfo:
    """What a model file says of itself."""

    path: Path
    format: str
    """Such as ``GGUF 3``."""
    metadata: dict[str, Any]
    """Its key-value pairs: numbers, booleans, strings and lists of these."""
    tensors: tuple[TensorInfo, ...]
    """In the order of the file."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all tensors together."""
        return sum(tensor.size_bytes for tensor in self.tensors)


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
