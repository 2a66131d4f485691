"""A GGUF file taken apart, so that it can be put together wrongly.

The layout is that of the GGUF specification, version 3, little-endian: magic, version, number of
tensors, number of pairs, the pairs, what is said of the tensors, padding, their data.
"""

from __future__ import annotations

import struct
from pathlib import Path

import attrs

UINT32, INT32, FLOAT32, STRING, ARRAY = 4, 5, 6, 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_ALIGNMENT = 32


def string(data: bytes) -> bytes:
    """A string as the format has it: its length, its bytes."""
    return struct.pack("<Q", len(data)) + data


@attrs.define
class Pair:
    """A key, the type of its value, and the value's bytes."""

    key: bytes
    kind: int
    value: bytes


@attrs.define
class Tensor:
    """What is said of a tensor."""

    name: bytes
    dimensions: list[int]
    kind: int
    offset: int
    n_dimensions: int | None = None
    """What is claimed; None: as many as there are."""


@attrs.define
class RawGguf:
    """A file in parts, each of which can be anything."""

    pairs: list[Pair]
    tensors: list[Tensor]
    data: bytearray
    n_pairs: int | None = None
    """What is claimed; None: as many as there are."""
    n_tensors: int | None = None
    version: int = 3

    @classmethod
    def read(cls, path: Path) -> RawGguf:
        """Take a sound file apart."""
        reader = _Reader(path.read_bytes())
        reader.at = 8
        n_tensors, n_pairs = reader.unpack("<QQ")
        pairs = [reader.pair() for _ in range(n_pairs)]
        tensors = [reader.tensor() for _ in range(n_tensors)]
        begin = -(-reader.at // _ALIGNMENT) * _ALIGNMENT
        return cls(pairs, tensors, bytearray(reader.data[begin:]))

    def pair(self, key: str) -> Pair:
        """The pair of a key."""
        return next(each for each in self.pairs if each.key == key.encode())

    def tensor(self, name: str) -> Tensor:
        """The tensor of a name."""
        return next(each for each in self.tensors if each.name == name.encode())

    def build(self) -> bytes:
        """Put it together as it is."""
        n_tensors = len(self.tensors) if self.n_tensors is None else self.n_tensors
        n_pairs = len(self.pairs) if self.n_pairs is None else self.n_pairs
        parts = [struct.pack("<4sIQQ", b"GGUF", self.version, n_tensors, n_pairs)]
        parts += [
            string(each.key) + struct.pack("<I", each.kind) + each.value for each in self.pairs
        ]
        for each in self.tensors:
            claimed = (
                len(each.dimensions) if each.n_dimensions is None else each.n_dimensions
            ) & 0xFFFFFFFF
            sizes = [size & (2**64 - 1) for size in each.dimensions]
            parts.append(string(each.name) + struct.pack("<I", claimed))
            parts.append(struct.pack(f"<{len(sizes)}Q", *sizes))
            parts.append(struct.pack("<IQ", each.kind & 0xFFFFFFFF, each.offset & (2**64 - 1)))
        head = b"".join(parts)
        return head + bytes(-len(head) % _ALIGNMENT) + bytes(self.data)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def unpack(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def string(self) -> bytes:
        (length,) = self.unpack("<Q")
        self.at += length
        return self.data[self.at - length : self.at]

    def pair(self) -> Pair:
        key = self.string()
        (kind,) = self.unpack("<I")
        begin = self.at
        self._skip(kind)
        return Pair(key, kind, self.data[begin : self.at])

    def _skip(self, kind: int) -> None:
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            of, count = self.unpack("<IQ")
            for _ in range(count):
                self._skip(of)
        else:
            self.at += _SIZES[kind]

    def tensor(self) -> Tensor:
        name = self.string()
        (count,) = self.unpack("<I")
        dimensions = list(self.unpack(f"<{count}Q"))
        kind, offset = self.unpack("<IQ")
        return Tensor(name, dimensions, kind, offset)
