"""The compiled llama.cpp binding: ``ffi`` and ``lib``, and what they were built for.

headrace's llama.cpp backend is the only user of this package, and one module of it the only
importer. The package knows nothing of headrace's core.

Importing the package loads nothing native; the first access to ``ffi`` or ``lib`` does, after the
CPU was compared with what the libraries were built for. So a machine that cannot run this build
gets an ``UnsupportedCPUError`` where ``from headrace_llamacpp_ffi import ffi, lib`` stands, and
can still be told why by ``build_info``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._build_info import BuildInfo, read_build_info
from ._errors import ExtensionLoadError, UnsupportedCPUError

if TYPE_CHECKING:
    from ._ffi import ffi, lib

__all__ = [
    "BuildInfo",
    "ExtensionLoadError",
    "UnsupportedCPUError",
    "build_info",
    "ffi",
    "lib",
    "library_dir",
]

library_dir: Path = Path(__file__).absolute().parent / "lib"
"""Folder of the llama.cpp libraries; a portable build's CPU kernels are loaded from here."""

if TYPE_CHECKING:
    build_info: BuildInfo
    """What was built, how, and for which CPU."""


def __getattr__(name: str) -> Any:
    if name == "build_info":
        value: Any = read_build_info(library_dir.parent)
    elif name in ("ffi", "lib"):
        from ._load import load_extension

        value = getattr(load_extension(__getattr__("build_info"), library_dir), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
