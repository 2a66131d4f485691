"""LoRA adapters and control vectors: from a file to a handle, or to the right error.

The shim reads the files before llama.cpp does, and keeps an adapter alive for
as long as a context has it set; so closing one at any moment is safe.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headrace.adapters import AdapterInfo
from headrace.errors import HeadraceError, ModelFormatError, ModelLoadError, ModelMemoryError
from headrace.protocols import AppliedAdapter
from headrace_llamacpp import logs
from headrace_llamacpp._native import ffi, lib, new_report, text
from headrace_llamacpp._statuses import Operation
from headrace_llamacpp.failures import check, error_of
from headrace_llamacpp.files import check_model_file
from headrace_llamacpp.handles import Handle

# llama.cpp gives reasons in its log only, so they are told apart by its words.
_MISMATCH = re.compile(r"does not exist in base model|incorrect shape|mismatch|not transposed")
_NO_MEMORY = re.compile(r"failed to allocate|out of memory|bad_alloc")
_DAMAGED = "If it was downloaded, get it again and compare its checksum."
_REASON = re.compile(r"^failed to apply lora adapter: *")


class LlamaAdapter(Handle):
    """An adapter or control vector of one model: the owner of an ``hr_adapter *``."""

    info: AdapterInfo
    """What is known of its file; set once it is loaded."""

    def __init__(self) -> None:
        super().__init__(lib.hr_adapter_delete, lib.hr_adapter_new())

    def close(self) -> None:
        """Free it, at the latest when no context has it set. Closing again does nothing."""
        lib.hr_adapter_close(self.pointer)


def load_lora(model: Any, model_path: Path, reference: str) -> LlamaAdapter:
    """Load a LoRA adapter for an ``hr_model *``; see ``AdapterModel`` for what it raises."""

    def read(handle: Any, path: bytes, *rest: Any) -> None:
        lib.hr_adapter_load_lora(handle, model, path, os.fsencode(model_path), *rest)

    return _load(reference, "LoRA adapter", read)


def load_control_vector(model: Any, reference: str) -> LlamaAdapter:
    """Load a control vector for an ``hr_model *``."""

    def read(handle: Any, path: bytes, *rest: Any) -> None:
        lib.hr_adapter_load_vector(handle, model, path, *rest)

    return _load(reference, "control vector", read)


def _load(reference: str, kind: str, read: Callable[..., None]) -> LlamaAdapter:
    path = check_model_file(reference, what=kind)
    adapter = LlamaAdapter()
    info = ffi.new("hr_adapter_info *")
    report = new_report()
    read(adapter.pointer, os.fsencode(path), info, report)
    if report.status != lib.HR_OK:
        raise _load_error(report, f"the {kind} {os.fspath(path)!r}")
    logs.drain()
    adapter.info = _info(path, info, _metadata(adapter.pointer))
    return adapter


def _metadata(handle: Any) -> dict[str, str]:
    key, value = ffi.new("const char **"), ffi.new("const char **")
    pairs: dict[str, str] = {}
    # Counted: names of a damaged file may become the same as text.
    for index in itertools.count():
        if not lib.hr_adapter_meta(handle, index, key, value):
            return pairs
        pairs.setdefault(text(key[0]), text(value[0]))
    raise AssertionError("counting has no end")


def _info(path: Path, native: Any, metadata: dict[str, str]) -> AdapterInfo:
    alpha = metadata.get("adapter.lora.alpha")
    tokens = metadata.get("adapter.alora.invocation_tokens", "")
    hint = metadata.get("controlvector.model_hint")
    is_vector = native.last_layer > 0
    return AdapterInfo(
        name=metadata.get("general.name") or path.stem,
        path=os.fspath(path),
        architecture=hint if is_vector else metadata.get("general.architecture"),
        n_tensors=native.n_tensors,
        size_bytes=native.n_bytes,
        rank=native.rank or None,
        alpha=None if alpha is None else float(alpha),
        task=metadata.get("adapter.lora.task_name"),
        prompt_prefix=metadata.get("adapter.lora.prompt_prefix"),
        invocation_tokens=tuple(map(int, tokens.split())),
        layers=(native.first_layer, native.last_layer) if is_vector else None,
        metadata=metadata,
    )


def _load_error(report: Any, name: str) -> HeadraceError:
    status = report.status
    if status == lib.HR_ADAPTER_MISMATCH:
        return error_of(report, Operation.LOAD, message=f"{name} does not fit this model")
    if status == lib.HR_ADAPTER_FORMAT:
        said = f"{name} cannot be used"
        return error_of(report, Operation.LOAD, message=said, hint=_DAMAGED)
    if status != lib.HR_ADAPTER_FAILED:
        return error_of(report, Operation.LOAD, message=f"{name} was not loaded")
    reasons = [_REASON.sub("", each) for each in logs.complaints(report.call_id)]
    reason = "; ".join(reasons) or "llama.cpp gives no reason"
    kind: type[HeadraceError] = ModelFormatError
    said, hint = "is damaged or incomplete", _DAMAGED
    if _MISMATCH.search(reason):
        kind, said = ModelLoadError, "does not fit this model"
        hint = "It was made for another one."
    elif _NO_MEMORY.search(reason):
        kind, said, hint = ModelMemoryError, "does not fit into memory", "Use one of lower rank."
    return error_of(
        report, Operation.LOAD, kind=kind, message=f"{name} {said}: {reason}", hint=hint
    )


def use_adapters(context: Any, adapters: Sequence[AppliedAdapter]) -> None:
    """Have an ``hr_context *`` compute with these from now on.

    Raises:
        ClosedError: If one of them was closed.
        DecodeError: If the context does not take them.
    """
    uses = ffi.new("hr_use[]", len(adapters))
    for native, applied in zip(uses, adapters, strict=True):
        assert isinstance(applied.loaded, LlamaAdapter)
        first, last = applied.loaded.info.layers or (0, 0)
        native.adapter = applied.loaded.pointer
        native.scale = applied.scale
        native.first_layer = applied.first_layer or first
        native.last_layer = applied.last_layer or last
    report = new_report()
    lib.hr_use_adapters(context, uses, len(adapters), report)
    if report.status == lib.HR_CLOSED:
        raise error_of(report, Operation.ADAPTERS, message="an adapter, or the model, was closed")
    check(report, Operation.ADAPTERS)
