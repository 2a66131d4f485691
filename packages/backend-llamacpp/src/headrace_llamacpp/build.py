"""What the native library is, in one line for receipts and people."""

from __future__ import annotations

import functools
import re

from headrace_llamacpp._native import build_info, lib, text


@functools.cache
def description() -> str:
    """Version and commit of llama.cpp and the kernels in use: what tokens may depend on."""
    system = text(lib.llama_print_system_info())
    kernels = re.findall(r"(\w+) = 1\b", system.partition("CPU : ")[2])
    commit = build_info.llama_cpp_commit[:10]
    return f"llama.cpp {commit} (CPU: {', '.join(kernels) or 'generic'})"
