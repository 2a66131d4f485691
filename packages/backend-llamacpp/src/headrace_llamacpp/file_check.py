"""Stages of ``headrace.check_model`` for GGUF files, from the outside in.

Each reads a little more of the file than the one before. They run in a process that may die.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from headrace.backend.abilities import FileStage
from headrace.errors import ModelFormatError
from headrace.params import ModelParams
from headrace_llamacpp.files import check_model_file
from headrace_llamacpp.gguf import GgufFile, Tensor
from headrace_llamacpp.loader import load_model

HEADER, METADATA, TENSORS, VOCABULARY = "header", "metadata", "tensors", "vocabulary"
_FIXED = struct.Struct("<4sIQQ")
_VERSIONS = (2, 3)
_SMALLEST_PAIR = 8 + 4 + 1
"""Bytes of a key's length, a type and a value: no pair is smaller."""
_SMALLEST_TENSOR = 8 + 4 + 4 + 8
"""Bytes of a name's length, a number of dimensions, a type and an offset."""


def file_stages(path: str) -> Sequence[FileStage]:
    """The stages for a file."""
    return (
        FileStage(HEADER, None, lambda: _header(path)),
        FileStage(METADATA, HEADER, lambda: _metadata(path)),
        FileStage(TENSORS, METADATA, lambda: _tensors(path)),
        # What is wrong with tensors is no matter for the vocabulary, and loaders look themselves.
        FileStage(VOCABULARY, METADATA, lambda: _vocabulary(path)),
    )


def _header(reference: str) -> str:
    path = check_model_file(reference)
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_FIXED.size)
    if len(start) < _FIXED.size:
        raise _damaged(path, f"has {size} bytes, fewer than a header")
    _, version, n_tensors, n_pairs = _FIXED.unpack(start)
    if version not in _VERSIONS:
        raise _damaged(path, f"is of version {version}; versions 2 and 3 are known")
    needed = _FIXED.size + n_pairs * _SMALLEST_PAIR + n_tensors * _SMALLEST_TENSOR
    if needed > size:
        raise _damaged(
            path,
            f"claims {n_pairs} metadata pairs and {n_tensors} tensors, "
            f"which do not fit into its {size} bytes",
        )
    return f"GGUF {version}, {n_pairs} metadata pairs, {n_tensors} tensors, {size} bytes"


def _metadata(path: str) -> str:
    with GgufFile(path) as file:
        return f"{len(file.metadata())} pairs"


def _tensors(reference: str) -> str:
    with GgufFile(reference) as file:
        tensors = list(file.tensors())
    path = Path(reference)
    size = path.stat().st_size
    end, before = 0, ""
    for each in sorted(tensors, key=lambda tensor: tensor.offset):
        if each.offset < end:
            raise _damaged(path, f"has tensors that overlap: {before!r} and {each.name!r}")
        end, before = each.offset + each.size, each.name
        if end > size:
            raise _damaged(
                path, f"ends at byte {size}, within the tensor {each.name!r}, which ends at {end}"
            )
    _check_names(path, tensors)
    return f"{len(tensors)} tensors, {sum(each.size for each in tensors)} bytes"


def _check_names(path: Path, tensors: list[Tensor]) -> None:
    names: set[str] = set()
    for each in tensors:
        if each.name in names:
            raise _damaged(path, f"has two tensors of the name {each.name!r}")
        names.add(each.name)


def _vocabulary(reference: str) -> str:
    from headrace_llamacpp.vocabulary import LlamaVocabulary

    handle = load_model(Path(reference), ModelParams(vocab_only=True, n_gpu_layers=0), None)
    vocabulary = LlamaVocabulary(handle)
    tokens = vocabulary.tokenize("Hello, world: 1 + 1 = 2.\n", add_special=True, parse_special=True)
    for each in tokens:
        vocabulary.piece(each)
    return f"{vocabulary.n_tokens} tokens"


def _damaged(path: Path, what: str) -> ModelFormatError:
    return ModelFormatError(
        f"the model file {str(path)!r} {what}",
        hint="If it was downloaded, get it again and compare its checksum.",
        backend="llamacpp",
    )
