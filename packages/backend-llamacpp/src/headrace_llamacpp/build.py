"""What the native library is, in one line for receipts and people."""

from __future__ import annotations

import functools

from headrace_llamacpp._native import build_info
from headrace_llamacpp.devices import all_devices, features_of


@functools.cache
def kernels() -> tuple[str, ...]:
    """The features that the CPU's kernels use."""
    cpu = next((each for each in all_devices() if each.kind == "cpu"), None)
    found = features_of(cpu) if cpu is not None else {}
    return tuple(name for name, value in found.items() if value == "1")


@functools.cache
def description() -> str:
    """Version and commit of llama.cpp and the kernels in use: what tokens may depend on."""
    commit = build_info.llama_cpp_commit[:10]
    return f"llama.cpp {commit} (CPU: {', '.join(kernels()) or 'generic'})"
