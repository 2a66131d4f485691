"""What a model file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs


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
