"""llama.cpp's shared libraries: built with CMake once, then taken from the cache."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from . import cpu
from .errors import BuildError
from .licences import collect_licences
from .options import WATCH, cmake_options, flag_options, patch_options
from .patching import chosen_patches, write_patched
from .prefix import COMMON_HEADERS, Prefix
from .progress import StepCounter, run_logged, say, telling_lines
from .record import BuildRecord
from .scratch import scratch_folder
from .settings import Settings
from .source import Source, find_source
from .toolchain import Toolchain, find_tool

# Raised when a change in this module changes what is built from equal inputs.
_RECIPE = 2

_FLAG_VARIABLES = ("CFLAGS", "CXXFLAGS", "LDFLAGS", "MACOSX_DEPLOYMENT_TARGET")


def get_libraries(settings: Settings) -> tuple[Prefix, BuildRecord]:
    """The libraries to link and pack, and what they were built for.

    Raises:
        BuildError: Something that is needed is missing, or the build failed.
    """
    toolchain = Toolchain.find()
    toolchain.export()
    if settings.prefix is not None:
        prefix = Prefix(settings.prefix)
        return prefix, BuildRecord.read(prefix.folder) or _record_of_installed(prefix, toolchain)
    source = find_source(settings)
    key = _cache_key(settings, source, toolchain)
    folder = settings.cache_dir / "libraries" / key
    record = BuildRecord.read(folder)
    if record is not None:
        say(f"llama.cpp {source.commit[:12]} is built already ({folder})")
    else:
        record = _build(settings, source, toolchain, folder)
    return Prefix(folder), record


def _cache_key(settings: Settings, source: Source, toolchain: Toolchain) -> str:
    parts = {
        "recipe": _RECIPE,
        "source": source.identity,
        "options": cmake_options(settings, source.commit),
        "watch": _contents(WATCH),
        "patches": {patch.name: _contents(patch.folder) for patch in chosen_patches(settings)},
        "flags": {name: os.environ.get(name, "") for name in _FLAG_VARIABLES},
        "compilers": [
            tool and (tool.command, tool.version) for tool in (toolchain.c, toolchain.cxx)
        ],
        "machine": [sys.platform, platform.machine()],
        "native": None if settings.portable else _native_identity(toolchain),
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def _native_identity(toolchain: Toolchain) -> object:
    """What "this machine" means to the compiler: its CPU's name, tuning and features."""
    if toolchain.c is None:
        return platform.processor()
    # -march=native is unknown to some compilers on ARM, where -mcpu=native says the same.
    return toolchain.c.macros("-march=native") or toolchain.c.macros("-mcpu=native")


def _record_of_installed(prefix: Prefix, toolchain: Toolchain) -> BuildRecord:
    # Which CPU it was built for cannot be told from the outside.
    return BuildRecord(
        llama_cpp_commit=prefix.version or "unknown",
        cmake_options=(),
        portable=prefix.is_portable,
        compiler=toolchain.version,
        cpu_features=(),
    )


def _build(
    settings: Settings, source: Source, toolchain: Toolchain, destination: Path
) -> BuildRecord:
    with scratch_folder(settings.cache_dir) as scratch:
        build, install = scratch / "build", scratch / "install"
        install.mkdir()
        _run_cmake(settings, source, build, install)
        record = BuildRecord(
            llama_cpp_commit=source.commit,
            cmake_options=tuple(cmake_options(settings, source.commit)),
            portable=_has_modules(build),
            compiler=toolchain.version,
            cpu_features=_needed_features(toolchain, build),
        )
        collect_licences(source.folder, install)
        _copy_common_headers(source, install)
        # Last: a folder with a record is complete.
        record.write(install)
        _move_into_place(install, destination)
    return record


def _copy_common_headers(source: Source, install: Path) -> None:
    """Install the headers of libllama-common, which llama.cpp's own installation leaves out."""
    common = source.folder / "common"
    for header in sorted(common.rglob("*.h")):
        copy = install / COMMON_HEADERS / header.relative_to(common)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(header, copy)


def _run_cmake(settings: Settings, source: Source, build: Path, install: Path) -> None:
    cmake = find_tool("cmake", "CMAKE_BIN_DIR")
    folders = ["-S", str(source.folder), "-B", str(build)]
    patches = chosen_patches(settings)
    replaced = patch_options(patches, write_patched(patches, source, build))
    flags = [*flag_options(source.folder, build), *replaced]
    options = [*flags, *cmake_options(settings, source.commit)]
    # Generators for several configurations, as Visual C++'s, ask which one at each stage.
    config = ["--config", "Release"]
    stages = {
        "configuring": [*folders, *_generator(), *options],
        "building": ["--build", str(build), *config, "--parallel", _jobs()],
        "installing": ["--install", str(build), *config, "--strip", "--prefix", str(install)],
    }
    log = _fresh_log(settings.cache_dir)
    say(f"building llama.cpp {source.commit[:12]}; this takes a few minutes, once")
    for stage, arguments in stages.items():
        say(f"{stage} llama.cpp")
        if run_logged([cmake, *arguments], log, StepCounter(f"{stage} llama.cpp")) != 0:
            raise _build_error(stage, source, log)
    log.unlink()


def _fresh_log(cache_dir: Path) -> Path:
    log = cache_dir / "log" / f"llama.cpp-{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    return log


def _generator() -> list[str]:
    # On Windows without a developer prompt only CMake's own choice finds Visual C++.
    if sys.platform == "win32" and shutil.which("cl") is None:
        return []
    return ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={find_tool('ninja', 'BIN_DIR')}"]


def _jobs() -> str:
    chosen = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL")
    if chosen:
        return chosen
    if hasattr(os, "sched_getaffinity"):
        return str(len(os.sched_getaffinity(0)))
    return str(os.cpu_count() or 1)


def _build_error(stage: str, source: Source, log: Path) -> BuildError:
    return BuildError(
        f"{stage} llama.cpp {source.commit} ({source.folder}) failed.",
        f"read the lines above, or the whole log in {log}. Often it is an option in "
        "HEADRACE_CMAKE_ARGS, a compiler that is too old, or too little memory (set "
        "CMAKE_BUILD_PARALLEL_LEVEL=1).",
        telling_lines(log),
    )


def _has_modules(build: Path) -> bool:
    """Whether the CPU kernels became modules, by ``HEADRACE_PORTABLE`` or an option of the user."""
    options = (build / "CMakeCache.txt").read_text(encoding="utf-8")
    switched_on = r"^GGML_BACKEND_DL:\w+=(ON|1|TRUE|YES)$"
    return re.search(switched_on, options, re.MULTILINE | re.IGNORECASE) is not None


def _needed_features(toolchain: Toolchain, build: Path) -> tuple[str, ...]:
    # Of modules ggml loads one that fits, asking the CPU itself.
    if _has_modules(build):
        return ()
    return cpu.features_of_build(toolchain.c, build / "compile_commands.json")


def _move_into_place(folder: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(destination)
    except OSError:
        # Another build with the same key was quicker.
        if BuildRecord.read(destination) is None:
            raise
