"""The options llama.cpp is configured with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from .patching import INCLUDED, PATCHES, Patch
from .settings import ROOT, Settings

WATCH = ROOT / "ffi" / "watch"
"""What llama.cpp's chat library gets beside its own files: see ``watch.h`` there."""

_FIXED = (
    "CMAKE_BUILD_TYPE=Release",
    "BUILD_SHARED_LIBS=ON",
    "CMAKE_INSTALL_LIBDIR=lib",
    # One file for each library: a wheel stores symbolic links as copies.
    "CMAKE_PLATFORM_NO_VERSIONED_SONAME=ON",
    # A library finds its neighbours beside itself, wherever the package is installed.
    f"CMAKE_INSTALL_RPATH={'@loader_path' if sys.platform == 'darwin' else '$ORIGIN'}",
    "CMAKE_BUILD_WITH_INSTALL_RPATH=ON",
    "CMAKE_INSTALL_NAME_DIR=@rpath",
    # Chat templates, parsers of answers, JSON schemas; without its tools and its network code.
    "LLAMA_BUILD_COMMON=ON",
    "LLAMA_SUBPROCESS=OFF",
    "LLAMA_BUILD_TESTS=OFF",
    "LLAMA_BUILD_TOOLS=OFF",
    "LLAMA_BUILD_EXAMPLES=OFF",
    "LLAMA_BUILD_SERVER=OFF",
    "LLAMA_BUILD_APP=OFF",
    "LLAMA_OPENSSL=OFF",
    # The shim attaches a ggml thread pool instead, and the wheel needs no OpenMP runtime.
    "GGML_OPENMP=OFF",
    # A template that never ends, or calls itself for ever, can be left.
    "HEADRACE_WATCH=ON",
    # Other machines' memory: nothing is opened or reached until a server is named.
    "GGML_RPC=ON",
    # Its objects would not be the compiler's that the cache key names.
    "GGML_CCACHE=OFF",
)

_NATIVE = ("GGML_NATIVE=ON",)
_PORTABLE = ("GGML_NATIVE=OFF", "GGML_BACKEND_DL=ON", "GGML_CPU_ALL_VARIANTS=ON")


def cmake_options(settings: Settings, commit: str) -> list[str]:
    """The options that decide what comes out: part of the key of the cache."""
    kernels = _PORTABLE if settings.portable else _NATIVE
    patches = [
        f"{patch.switch}={'ON' if getattr(settings, patch.name) else 'OFF'}" for patch in PATCHES
    ]
    # Without these two, a tree inside another git repository embeds that repository's commit.
    version = (f"LLAMA_BUILD_COMMIT={commit}", "LLAMA_BUILD_NUMBER=0")
    ours = [f"-D{option}" for option in (*_FIXED, *patches, *kernels, *version)]
    return [*ours, *settings.cmake_args]


def patch_options(patches: Iterable[Patch], patched: Path) -> list[str]:
    """Options that have the patched copies in a folder compiled."""
    originals = [
        f"{patch.switch}:{'/'.join(PurePosixPath(patch.target).parts[-2:])}" for patch in patches
    ]
    return [
        # Of the variables that name files to include, one has room for one file.
        f"-DCMAKE_PROJECT_INCLUDE_BEFORE={INCLUDED.as_posix()}",
        f"-DHEADRACE_PATCHED={';'.join(originals)}",
        f"-DHEADRACE_PATCHED_FOLDER={patched.as_posix()}",
    ]


def flag_options(source: Path, build: Path) -> list[str]:
    """Options that name folders, which differ between equal builds.

    The folders are mapped away in what the compiler embeds. C code is compiled with unwind tables
    because the shim leaves a ggml abort by a C++ exception, through ggml's C functions.
    """
    ours = [f"-DCMAKE_PROJECT_INCLUDE={(WATCH / 'watch.cmake').as_posix()}"]
    if sys.platform == "win32":
        return ours
    mapped = f"-ffile-prefix-map={source}=llama.cpp -ffile-prefix-map={build}=build"
    # Setting these replaces what CMake would have taken from the environment.
    c = f"{os.environ.get('CFLAGS', '')} {mapped} -fexceptions".strip()
    cxx = f"{os.environ.get('CXXFLAGS', '')} {mapped}".strip()
    return [*ours, f"-DCMAKE_C_FLAGS={c}", f"-DCMAKE_CXX_FLAGS={cxx}"]
