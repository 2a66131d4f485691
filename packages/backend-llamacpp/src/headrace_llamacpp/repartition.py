"""One GGUF file into several and back.

llama.cpp knows how to load a model whose tensors lie in several files, each with a
header of its own. The headers are written by the library; the data is copied here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import attrs

from headrace.common.atomic import replacing
from headrace.errors import ModelFormatError, ModelLoadCancelledError, ModelNotFoundError
from headrace_llamacpp._native import ffi, lib, new_report
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check
from headrace_llamacpp.gguf import GgufFile, Tensor

_ALIGNMENT = 32
_CHUNK = 16 * 2**20
_SHARD = re.compile(r"(?P<prefix>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)
_MOST_SHARDS = 2**16 - 1  # the file has 16 bits for it

Progress = Callable[[float], "bool | None"]


def shard_path(prefix: Path, number: int, count: int) -> Path:
    """The name llama.cpp gives to shard ``number`` (from 1) of ``count``."""
    return prefix.with_name(f"{prefix.name}-{number:05}-of-{count:05}.gguf")


def split(
    source: str,
    prefix: Path,
    *,
    max_bytes: int | None,
    max_tensors: int | None,
    progress: Progress | None,
) -> list[Path]:
    """Write a file as shards; see ``headrace.split_model``."""
    with GgufFile(source) as file, ExitStack() as unfinished:
        if "split.count" in file.metadata():
            raise ModelFormatError(
                f"the model file {source!r} is itself a part of a split model",
                hint="Merge its parts first.",
                backend="llamacpp",
            )
        groups = _grouped(list(file.tensors()), max_bytes, max_tensors)
        paths = [shard_path(prefix, number + 1, len(groups)) for number in range(len(groups))]
        # All appear when all are complete.
        temporary = [unfinished.enter_context(replacing(path)) for path in paths]
        copied = _Copied(sum(tensor.size for group in groups for tensor in group), progress)
        total, first = sum(map(len, groups)), 0
        for number, (group, path) in enumerate(zip(groups, temporary, strict=True)):
            parts = [_Part(file, first, group)]
            _write(
                path, parts, copied, with_metadata=number == 0, split=(number, len(groups), total)
            )
            first += len(group)
    return paths


def merge(source: str, target: Path, *, progress: Progress | None) -> None:
    """Write shards as one file; see ``headrace.merge_model``."""
    with ExitStack() as open_files:
        shards = [open_files.enter_context(GgufFile(path)) for path in _shards_of(source)]
        parts = [_Part(shard, 0, list(shard.tensors())) for shard in shards]
        copied = _Copied(sum(tensor.size for part in parts for tensor in part.tensors), progress)
        _write(target, parts, copied, with_metadata=True, split=(0, 0, 0))


@attrs.frozen
class _Part:
    """Neighbouring tensors of a file."""

    file: GgufFile
    first: int
    tensors: list[Tensor]


class _Copied:
    """How far the copying is; asks after each piece whether to go on."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total = total
        self._done = 0
        self._progress = progress

    def add(self, count: int) -> None:
        self._done += count
        fraction = self._done / self._total if self._total else 1.0
        if self._progress is not None and self._progress(fraction) is False:
            raise ModelLoadCancelledError("the copying was cancelled", backend="llamacpp")


def _grouped(
    tensors: list[Tensor], max_bytes: int | None, max_tensors: int | None
) -> list[list[Tensor]]:
    groups: list[list[Tensor]] = [[]]
    size = 0
    for tensor in tensors:
        last = groups[-1]
        full = len(last) == max_tensors or (
            max_bytes is not None and size + tensor.size > max_bytes
        )
        if last and full:
            groups.append([])
            size = 0
        groups[-1].append(tensor)
        size += tensor.size
    if len(groups) > _MOST_SHARDS:
        raise ModelFormatError(
            f"{len(groups)} shards are more than the {_MOST_SHARDS} that a file can count",
            hint="Allow larger shards.",
            backend="llamacpp",
        )
    return groups


def _write(
    path: Path,
    parts: list[_Part],
    copied: _Copied,
    *,
    with_metadata: bool,
    split: tuple[int, int, int],
) -> None:
    """A file with the tensors of the parts."""
    report = new_report()
    native = ffi.new(
        "hr_gguf_part[]", [(p.file.handle.pointer, p.first, len(p.tensors)) for p in parts]
    )
    place = ffi.new("hr_gguf_split *", split)
    lib.hr_gguf_write_header(os.fsencode(path), native, len(parts), with_metadata, place, report)
    check(report, Operation.FILE)
    with path.open("ab") as target:
        for part in parts:
            with part.file.path.open("rb") as source:
                _copy(source, target, part.tensors, copied)


def _copy(source: IO[bytes], target: IO[bytes], tensors: Iterable[Tensor], copied: _Copied) -> None:
    for tensor in tensors:
        source.seek(tensor.offset)
        left = tensor.size
        while left:
            piece = source.read(min(left, _CHUNK))
            if not piece:
                raise ModelFormatError(
                    f"the model file {source.name!r} ends inside the tensor {tensor.name!r}",
                    hint="If it was downloaded, get it again and compare its checksum.",
                    backend="llamacpp",
                )
            target.write(piece)
            left -= len(piece)
            copied.add(len(piece))
        target.write(bytes(-tensor.size % _ALIGNMENT))


def _shards_of(source: str) -> list[Path]:
    """All shards of which the source is the first.

    Raises:
        ModelFormatError: If the name is not that of a first shard.
        ModelNotFoundError: If one is missing.
    """
    found = _SHARD.fullmatch(source)
    if found is None or int(found["number"]) != 1:
        raise ModelFormatError(
            f"{source!r} is not the first shard of a model",
            hint="Its name ends in -00001-of-000NN.gguf.",
            backend="llamacpp",
        )
    count, prefix = int(found["count"]), Path(found["prefix"])
    paths = [shard_path(prefix, number, count) for number in range(1, count + 1)]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise ModelNotFoundError(
            f"of the {count} shards of {source!r} there is no {missing[0]!r}",
            hint="Shards belong into one folder.",
            backend="llamacpp",
        )
    return paths
