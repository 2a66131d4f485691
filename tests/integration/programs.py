"""Compiles small C++ programs against the same libraries as the binding, for comparison."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from headrace_llamacpp_ffi import library_dir
from native_build.settings import Settings
from native_build.source import find_source


def compile_program(source: str, folder: Path, *, libraries: Sequence[str] = ()) -> Path:
    """The program that a C++ file of this folder makes, linked to llama.cpp and more of it."""
    program = folder / Path(source).stem
    compiler = os.environ.get("CXX", "c++")
    command = [compiler, "-std=c++17", "-o", program, Path(__file__).with_name(source)]
    command += [f"-I{each}" for each in _include_dirs()]
    command += [f"-L{library_dir}", *(f"-l{each}" for each in libraries)]
    command += ["-lllama", "-lggml", "-lggml-base"]
    command += [f"-Wl,-rpath,{library_dir}", f"-Wl,-rpath-link,{library_dir}"]
    subprocess.run(command, check=True)
    return program


def _include_dirs() -> list[Path]:
    """The headers that the binding was compiled against."""
    settings = Settings.from_environment()
    if settings.prefix is not None:
        return [settings.prefix / "include"]
    source = find_source(settings).folder
    return [source / "include", source / "ggml" / "include", source / "common"]
