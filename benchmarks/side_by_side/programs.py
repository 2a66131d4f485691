"""llama.cpp's own programs, built from the tree that headrace is built on; once, into the cache.

As people have them: with OpenMP, for this machine's processor, without headrace's patches and
options. The source is fetched as for the build of headrace, with the programs' folder beside.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from native_build.download import fetch
from native_build.pin import PINNED, Pin
from native_build.progress import StepCounter, run_logged, say, telling_lines
from native_build.scratch import scratch_folder
from native_build.settings import Settings
from native_build.source import BUILD_FILES
from native_build.toolchain import find_tool

PROGRAMS = ("llama-bench", "llama-batched-bench", "llama-server")
MEMBERS = (*BUILD_FILES, "tools")
_OPTIONS = (
    "CMAKE_BUILD_TYPE=Release",
    "CMAKE_BUILD_RPATH_USE_ORIGIN=ON",
    "GGML_NATIVE=ON",
    "GGML_CCACHE=OFF",
    "LLAMA_BUILD_TESTS=OFF",
    "LLAMA_BUILD_EXAMPLES=OFF",
    "LLAMA_BUILD_APP=OFF",
    "LLAMA_BUILD_UI=OFF",
    "LLAMA_BUILD_TOOLS=ON",
    "LLAMA_BUILD_SERVER=ON",
    "LLAMA_OPENSSL=OFF",
    "LLAMA_CURL=OFF",
    f"LLAMA_BUILD_COMMIT={PINNED.commit}",
    "LLAMA_BUILD_NUMBER=0",
)


def programs(pin: Pin = PINNED) -> Path:
    """The folder of the programs, built if it is not there yet: some minutes, once.

    Raises:
        BuildError: The source could not be fetched.
        SystemExit: The build failed; with what its log says.
    """
    cache = Settings.from_environment().cache_dir
    folder = cache / "programs" / f"llama.cpp-{pin.commit[:12]}"
    if not all((folder / "bin" / program).is_file() for program in PROGRAMS):
        source = cache / "source" / f"{pin.project}-{pin.version}-{pin.sha256[:12]}-programs"
        if not source.is_dir():
            fetch(pin, source, MEMBERS, cache)
        _build(source, folder, cache)
    return folder / "bin"


def _build(source: Path, folder: Path, cache: Path) -> None:
    say("building llama.cpp's programs; this takes some minutes, once")
    ninja = f"-DCMAKE_MAKE_PROGRAM={find_tool('ninja', 'BIN_DIR')}"
    options = ["-G", "Ninja", ninja, *(f"-D{option}" for option in _OPTIONS)]
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 1)
    cmake = find_tool("cmake", "CMAKE_BIN_DIR")
    with scratch_folder(cache) as scratch:
        log, build = scratch / "build.log", scratch / "build"
        log.touch()
        for stage, arguments in (
            ("configuring", ["-S", str(source), "-B", str(build), *options]),
            ("building", ["--build", str(build), "--parallel", jobs, "--target", *PROGRAMS]),
        ):
            counter = StepCounter(f"{stage} llama.cpp's programs")
            if run_logged([cmake, *arguments], log, counter) != 0:
                raise SystemExit(f"{stage} llama.cpp's programs failed:\n{telling_lines(log)}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # The programs find their libraries beside themselves, wherever the folder is.
        (build / "bin").rename(folder / "bin")
