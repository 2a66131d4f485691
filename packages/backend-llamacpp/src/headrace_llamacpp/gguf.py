"""A GGUF file as llama.cpp reads it: its metadata and its tensors, not their data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from headrace.errors import ClosedError, ModelFormatError
from headrace_llamacpp import logs
from headrace_llamacpp._native import ffi, lib, new_report, text
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check, error_of
from headrace_llamacpp.files import check_model_file
from headrace_llamacpp.handles import Handle

_NUMBERS = {
    lib.GGUF_TYPE_UINT8: "uint8_t",
    lib.GGUF_TYPE_INT8: "int8_t",
    lib.GGUF_TYPE_UINT16: "uint16_t",
    lib.GGUF_TYPE_INT16: "int16_t",
    lib.GGUF_TYPE_UINT32: "uint32_t",
    lib.GGUF_TYPE_INT32: "int32_t",
    lib.GGUF_TYPE_UINT64: "uint64_t",
    lib.GGUF_TYPE_INT64: "int64_t",
    lib.GGUF_TYPE_FLOAT32: "float",
    lib.GGUF_TYPE_FLOAT64: "double",
    lib.GGUF_TYPE_BOOL: "bool",
}


@attrs.frozen
class Tensor:
    """A tensor of a file."""

    name: str
    shape: tuple[int, ...]
    """In elements; those that are neighbours in the file first, ones at the end left out."""
    type: str
    size: int
    """In bytes, without what follows for alignment."""
    offset: int
    """Of its data, from the beginning of the file."""


class GgufFile:
    """The owner of an ``hr_gguf``.

    Args:
        path: A file, see ``headrace_llamacpp.files``.

    Raises:
        ModelError: If it cannot be read, or is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = check_model_file(os.fspath(path))
        made = ffi.new("hr_gguf **")
        report = new_report()
        lib.hr_gguf_open(os.fsencode(self.path), made, report)
        if report.status == lib.HR_FILE_REFUSED:
            raise _refused(report, self.path)
        check(report, Operation.FILE)
        logs.drain()
        self.handle = Handle(lib.hr_gguf_close, made[0])
        self.version = int(lib.gguf_get_version(self._context))

    @property
    def _context(self) -> Any:
        pointer = lib.hr_gguf_pointer(self.handle.pointer)
        if pointer == ffi.NULL:
            raise ClosedError(f"the file {os.fspath(self.path)!r} was closed", backend="llamacpp")
        return pointer

    def metadata(self) -> dict[str, Any]:
        """Its key-value pairs; arrays are lists."""
        count = lib.gguf_get_n_kv(self._context)
        return {
            text(lib.gguf_get_key(self._context, index)): self._value(index)
            for index in range(count)
        }

    def _value(self, index: int) -> Any:
        kind = lib.gguf_get_kv_type(self._context, index)
        if kind == lib.GGUF_TYPE_STRING:
            return text(lib.gguf_get_val_str(self._context, index))
        if kind == lib.GGUF_TYPE_ARRAY:
            return self._array(index)
        return ffi.cast(f"{_NUMBERS[kind]} *", lib.gguf_get_val_data(self._context, index))[0]

    def _array(self, index: int) -> list[Any]:
        count = lib.gguf_get_arr_n(self._context, index)
        kind = lib.gguf_get_arr_type(self._context, index)
        if kind == lib.GGUF_TYPE_STRING:
            return [text(lib.gguf_get_arr_str(self._context, index, at)) for at in range(count)]
        if count == 0:
            return []
        first = ffi.cast(f"{_NUMBERS[kind]} *", lib.gguf_get_arr_data(self._context, index))
        return list(ffi.unpack(first, count))

    def tensors(self) -> Iterator[Tensor]:
        """Its tensors, in the order of the file."""
        begin = lib.gguf_get_data_offset(self._context)
        for index in range(lib.gguf_get_n_tensors(self._context)):
            dimensions = list(lib.gguf_get_tensor_ne(self._context, index)[0:4])
            while len(dimensions) > 1 and dimensions[-1] == 1:
                dimensions.pop()
            yield Tensor(
                name=text(lib.gguf_get_tensor_name(self._context, index)),
                shape=tuple(dimensions),
                type=text(lib.ggml_type_name(lib.gguf_get_tensor_type(self._context, index))),
                size=lib.gguf_get_tensor_size(self._context, index),
                offset=begin + lib.gguf_get_tensor_offset(self._context, index),
            )

    def close(self) -> None:
        """Free what was read. Closing again does nothing."""
        self.handle.delete()

    def __enter__(self) -> GgufFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refused(report: Any, path: Path) -> Exception:
    reason = "; ".join(logs.complaints(report.call_id)) or "llama.cpp gives no reason"
    return error_of(
        report,
        Operation.FILE,
        kind=ModelFormatError,
        message=f"the model file {os.fspath(path)!r} is damaged or incomplete: {reason}",
        hint="If it was downloaded, get it again and compare its checksum.",
    )
