"""The record that the build left beside the libraries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ._errors import ExtensionLoadError

_NOT_BUILT = (
    "the extension of headrace-llamacpp-ffi was not built here ({path} is missing). In a source "
    "tree run: python build_ffi.py. Otherwise install the package again."
)


@dataclass(frozen=True)
class BuildInfo:
    """What a build was made of and for.

    Attributes:
        llama_cpp_commit: The llama.cpp commit.
        cmake_options: The options llama.cpp was configured with.
        portable: Whether the CPU kernels are modules, to be loaded from ``library_dir``; else
            they are for one kind of CPU, and linked.
        compiler: The C++ compiler, in its own words.
        cpu_features: What the CPU must have, by the names of Linux's ``/proc/cpuinfo``; empty
            where nothing is asked of it or nothing is known.
    """

    llama_cpp_commit: str
    cmake_options: tuple[str, ...]
    portable: bool
    compiler: str
    cpu_features: tuple[str, ...]


def read_build_info(package: Path) -> BuildInfo:
    """Read the record in the package's folder.

    Raises:
        ExtensionLoadError: The extension was not built here.
    """
    path = package / "_build_info.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = _NOT_BUILT.format(path=path)
        raise ExtensionLoadError(message, name="headrace_llamacpp_ffi") from None
    return BuildInfo(
        llama_cpp_commit=fields["llama_cpp_commit"],
        cmake_options=tuple(fields["cmake_options"]),
        portable=fields["portable"],
        compiler=fields["compiler"],
        cpu_features=tuple(fields["cpu_features"]),
    )
