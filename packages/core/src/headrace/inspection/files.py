"""Work on model files: looking into them, quantizing, splitting and merging.

Done by whichever backend knows the kind of file; nothing is loaded to run it.
"""

from __future__ import annotations

import os
from pathlib import Path

from headrace.backend.abilities import ModelFiles, Progress, QuantizeRequest
from headrace.backend.backend import Backend
from headrace.common.atomic import replacing
from headrace.errors import ParamsError, UnsupportedError
from headrace.loading.choose import choose_backend
from headrace.requests.checks import check_path
from headrace.results.files import FileInfo


def inspect_file(path: str | os.PathLike[str], *, backend: str | Backend | None = None) -> FileInfo:
    """What a model file says of itself: all its metadata, and its tensors.

    Raises:
        ModelError: If it is not a model file, or a damaged one.
        UnsupportedError: If the backend cannot look into files.
    """
    text = check_path("path", path)
    return _files(backend, text).inspect(text)


def quantize_model(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    type: str,
    *,
    backend: str | Backend | None = None,
    n_threads: int | None = None,
    allow_requantize: bool = False,
    keep_output: bool = False,
    pure: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a copy of a model with smaller weights.

    Args:
        source: A model file, best one with weights of 16 or 32 bits.
        target: Where the copy goes; it appears when it is complete.
        type: Such as ``Q4_K_M``; the backend's types are listed if it is not one.
        backend: Who does it; None: the one that can load the source.
        n_threads: Threads; None: all that the process may use.
        allow_requantize: Quantize weights that are quantized already, which costs quality.
        keep_output: Leave the output tensor as it is.
        pure: The same type for every tensor, instead of the usual mixture.
        overwrite: Replace a target that is there.
        progress: Called with 0.0 … 1.0; returning False ends it, and nothing is left behind.

    Returns:
        The target.

    Raises:
        ParamsError: For an unknown type, a target that is there, or a type that does not
            fit the model.
        ModelError: If the source cannot be read.
        ModelLoadCancelledError: If ``progress`` returned False.
    """
    files = _files(backend, check_path("source", source))
    _check_type(type, files.quantization_types())
    _check_positive("n_threads", n_threads)
    free = _free(target, source, overwrite=overwrite)
    with replacing(free) as temporary:
        files.quantize(
            QuantizeRequest(
                source=Path(source),
                target=temporary,
                type=type.upper(),
                n_threads=n_threads,
                allow_requantize=allow_requantize,
                keep_output=keep_output,
                pure=pure,
                progress=progress,
            )
        )
    return Path(target)


def split_model(
    source: str | os.PathLike[str],
    prefix: str | os.PathLike[str],
    *,
    max_bytes: int | None = None,
    max_tensors: int | None = None,
    backend: str | Backend | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write a model file as several shards, ``PREFIX-00001-of-00003.gguf`` and so on.

    Loading the first one loads all.

    Args:
        source: The model file.
        prefix: Path that the names of the shards begin with.
        max_bytes: Most bytes of tensors in a shard (one that is larger has a shard of its own).
        max_tensors: Most tensors in a shard.
        backend: Who does it; None: the one that can load the source.
        progress: Called with 0.0 … 1.0; returning False ends it, and nothing is left behind.

    Returns:
        The shards in order.

    Raises:
        ParamsError: If neither or both limits are given, or one is not positive.
        ModelError: If the source cannot be read, or is split already.
        ModelLoadCancelledError: If ``progress`` returned False.
    """
    if (max_bytes is None) == (max_tensors is None):
        raise ParamsError("split_model needs one of max_bytes and max_tensors")
    _check_positive("max_bytes", max_bytes)
    _check_positive("max_tensors", max_tensors)
    text = check_path("source", source)
    return _files(backend, text).split(
        text, Path(prefix), max_bytes=max_bytes, max_tensors=max_tensors, progress=progress
    )


def merge_model(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    backend: str | Backend | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write the shards of a model as one file.

    Args:
        source: The first shard; the others are found by their names.
        target: Where the whole goes; it appears when it is complete.
        backend: Who does it; None: the one that can load the source.
        overwrite: Replace a target that is there.
        progress: Called with 0.0 … 1.0; returning False ends it, and nothing is left behind.

    Returns:
        The target.

    Raises:
        ParamsError: If the target is there.
        ModelError: If a shard is missing or damaged, or the source is not the first of them.
        ModelLoadCancelledError: If ``progress`` returned False.
    """
    text = check_path("source", source)
    files = _files(backend, text)
    with replacing(_free(target, source, overwrite=overwrite)) as temporary:
        files.merge(text, temporary, progress=progress)
    return Path(target)


def _files(backend: str | Backend | None, reference: str) -> ModelFiles:
    chosen = choose_backend(backend, reference)
    if not isinstance(chosen, ModelFiles):
        raise UnsupportedError(
            f"the backend {chosen.name!r} does not work on model files",
            hint="headrace-llamacpp does, on GGUF files.",
            backend=chosen.name,
        )
    return chosen


def _check_positive(name: str, value: object) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and (not whole or value < 1):  # type: ignore[operator]
        raise ParamsError(f"{name} must be a whole number ≥ 1, got {value!r}")


def _check_type(type: object, known: tuple[str, ...]) -> None:
    if not isinstance(type, str) or type.upper() not in known:
        import difflib  # for whoever made a mistake

        close = difflib.get_close_matches(str(type).upper(), known, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise ParamsError(
            f"there is no quantization type {type!r}", hint=f"{hint}Types: {', '.join(known)}."
        )


def _free(
    target: str | os.PathLike[str], source: str | os.PathLike[str], *, overwrite: bool
) -> Path:
    """The target as a path at which something may be written.

    Raises:
        ParamsError: If it is there, or its folder is not.
    """
    path = Path(target)
    if not path.parent.is_dir():
        raise ParamsError(
            f"there is no directory {os.fspath(path.parent)!r} to write {path.name!r} into",
            hint="Make it first.",
        )
    if path.exists() and not path.is_file():
        raise ParamsError(
            f"the target {os.fspath(path)!r} is no regular file",
            hint="A folder, a pipe or a device cannot be replaced by a file: choose another name.",
        )
    same = path.exists() and Path(source).exists() and path.samefile(source)
    if path.exists() and (not overwrite or same):
        raise ParamsError(
            f"the target {os.fspath(path)!r} is {'the source itself' if same else 'there already'}",
            hint="Choose another name." if same else "Or pass overwrite=True.",
        )
    return path
