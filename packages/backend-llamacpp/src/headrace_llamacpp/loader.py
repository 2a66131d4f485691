"""Loading a model file: from ``ModelParams`` to a handle, or to the right error."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.errors import (
    HeadraceError,
    ModelFormatError,
    ModelLoadError,
    ModelMemoryError,
    ParamsError,
)
from headrace.params import ModelParams
from headrace_llamacpp import callbacks, logs, numa
from headrace_llamacpp._native import ffi, lib, new_report, text
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import error_of
from headrace_llamacpp.handles import Handle
from headrace_llamacpp.requests import native_params
from headrace_llamacpp.shards import error_about_parts

Progress = Callable[[float], "bool | None"]

# llama.cpp gives reasons in its log only, so they are told apart by its words.
_NO_MEMORY = re.compile(r"(unable|failed) to allocate|out of memory|bad_alloc|mmap failed")
_UNSUPPORTED = re.compile(
    r"unknown model architecture|unknown pre-tokenizer|cannot be used as main model"
    r"|no backends are loaded|not supported"
)
_UNREADABLE = re.compile(r"failed to open|read error|cannot open")
_VOCABULARY = re.compile(r"tokenizer\.ggml|loading model vocabulary")
_WRONG_TYPE = re.compile(r"Bad metadata override type for key '(.*)', expected (\w+) but got (\w+)")
_BAD_PATTERN = re.compile(r"regular expression|regex", re.IGNORECASE)
_NEEDS_TOKENIZER = "Use a GGUF file that contains the model's tokenizer."
_NOISE = re.compile(r"^(failed to load model$|error loading model: *)")


def load_model(path: Path, params: ModelParams, progress: Progress | None) -> Handle:
    """Load a file; returns the owner of an ``hr_model *``.

    Raises:
        ModelError: One of its subclasses.
        ParamsError: If a device is named that is not there.
        BaseException: What ``progress`` or a signal handler raised meanwhile.
    """
    # The handle exists before the load: whatever is raised on the way out, it frees the model.
    handle = Handle(lib.hr_model_delete, lib.hr_model_new())
    report = new_report()
    native, kept = native_params(params)
    numa.choose(params.numa)
    # Without a progress function the callback is there for Ctrl-C, which only the main
    # thread can see; on another thread the load then never asks for the GIL.
    wanted = progress is not None or callbacks.in_main_thread()
    user = ffi.new_handle(progress)
    function = lib.headrace_progress if wanted else ffi.NULL
    callbacks.take_error()
    lib.hr_model_load(handle.pointer, os.fsencode(path), native, function, user, report)
    del kept
    error = callbacks.take_error()
    if error is not None:
        lib.hr_model_close(handle.pointer)
        logs.drain()
        raise error
    if report.status != lib.HR_OK:
        raise load_error(report, path, params)
    misfit = _misfit_of_overrides(report, path)
    if misfit is not None:
        lib.hr_model_close(handle.pointer)
        raise misfit
    vocabulary = lib.llama_model_get_vocab(lib.hr_model_pointer(handle.pointer))
    if lib.llama_vocab_type(vocabulary) == lib.LLAMA_VOCAB_TYPE_NONE:
        lib.hr_model_close(handle.pointer)
        raise _no_vocabulary(path)
    logs.drain()
    return handle


def _misfit_of_overrides(report: Any, path: Path) -> HeadraceError | None:
    """llama.cpp warns of an override that has the wrong type, and goes on without it."""
    for entry in logs.of_call(report.call_id):
        found = _WRONG_TYPE.search(entry.text)
        if found:
            key, expected, given = found.groups()
            return ParamsError(
                f"ModelParams.kv_overrides[{key!r}] must be of type {expected}, got a {given}, "
                f"for the model file {os.fspath(path)!r}",
                hint="Python's int, float, bool and str are the types of metadata.",
                backend="llamacpp",
            )
    return None


def _no_vocabulary(path: Path) -> HeadraceError:
    return ModelFormatError(
        f"the model file {os.fspath(path)!r} has no vocabulary",
        hint=_NEEDS_TOKENIZER,
        backend="llamacpp",
    )


def load_error(report: Any, path: Path, params: ModelParams) -> HeadraceError:
    """Why a file was not loaded, from the report and the log."""
    name = f"the model file {os.fspath(path)!r}"
    if report.status != lib.HR_LOAD_FAILED:
        said = f"{name} was not loaded"
        if report.status == lib.HR_NATIVE_ABORT:
            said = f"{name} is damaged: an assertion in llama.cpp failed"
        return error_of(report, Operation.LOAD, message=said)
    reasons = [_NOISE.sub("", each) for each in logs.complaints(report.call_id)]
    reason = "; ".join(dict.fromkeys(filter(None, reasons))) or "llama.cpp gives no reason"
    if params.tensor_devices and _BAD_PATTERN.search(reason):
        return ParamsError(
            f"ModelParams.tensor_devices has a pattern that is no regular expression: {reason}",
            hint="The patterns are those of ECMAScript; a backslash goes before ( [ { * + ? . |.",
            backend="llamacpp",
        )
    about_parts = error_about_parts(path, reason)
    if about_parts is not None:
        about_parts.native_log = logs.tail(report.call_id)
        logs.drain()
        return about_parts
    kind, said, hint = _classify(reason)
    return error_of(
        report, Operation.LOAD, kind=kind, message=f"{name} {said}: {reason}", hint=hint
    )


def _classify(reason: str) -> tuple[type[HeadraceError], str, str | None]:
    if _NO_MEMORY.search(reason):
        return (
            ModelMemoryError,
            "does not fit into memory",
            "Use a smaller or more quantized model.",
        )
    if _UNSUPPORTED.search(reason):
        return (
            ModelLoadError,
            "is not supported by this llama.cpp",
            "A newer version of headrace-llamacpp-ffi may know it.",
        )
    if _UNREADABLE.search(reason):
        return ModelLoadError, "cannot be read", None
    if _VOCABULARY.search(reason):
        return ModelFormatError, "has no usable vocabulary", _NEEDS_TOKENIZER
    return (
        ModelFormatError,
        "is damaged or incomplete",
        "If it was downloaded, get it again and compare its checksum.",
    )


def metadata_of(model: Any) -> dict[str, str]:
    """The file's own key-value pairs, as llama.cpp words them; no arrays."""
    pairs = {}
    for index in range(lib.llama_model_meta_count(model)):
        key = _sized(lib.llama_model_meta_key_by_index, model, index)
        pairs[key] = _sized(lib.llama_model_meta_val_str_by_index, model, index)
    return pairs


def description_of(model: Any) -> str:
    """llama.cpp's description, such as ``gemma3 270M Q4_K - Medium``."""
    return _sized(lambda model, _, *rest: lib.llama_model_desc(model, *rest), model, 0)


def _sized(function: Callable[..., int], model: Any, index: int) -> str:
    """What a function writes into a buffer, which is made larger if it must be."""
    size = 256
    while True:
        buffer = ffi.new("char[]", size)
        needed = function(model, index, buffer, size)
        if needed < size:
            return text(buffer)
        size = needed + 1
