"""What the packaging tests share: a miniature llama.cpp, and copies of the checkout to build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# These tests are about the sources of the binding's package, installed or not.
sys.path.insert(0, str(ROOT / "src"))

_CMAKE = """
cmake_minimum_required(VERSION 3.14)
project(llama.cpp C CXX)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if (REFUSE)
    message(FATAL_ERROR "this option is refused")
endif()
add_library(ggml-base SHARED src/base.c)
add_library(ggml-cpu SHARED src/ggml-cpu/ggml-cpu.c)
add_library(ggml SHARED src/ggml.c)
add_library(llama SHARED src/llama.cpp)
target_link_libraries(ggml PRIVATE ggml-base ggml-cpu)
target_link_libraries(llama PRIVATE ggml)
if (GGML_NATIVE OR GGML_CPU_ALL_VARIANTS)
    target_compile_options(ggml-cpu PRIVATE -msse4.2)
endif()
install(TARGETS ggml-base ggml-cpu ggml llama)
install(FILES include/llama.h DESTINATION include)
"""

_FILES = {
    "CMakeLists.txt": _CMAKE,
    "LICENSE": "MIT, in miniature\n",
    "include/llama.h": "#pragma once\n",
    "src/base.c": "int base(void) { return 1; }\n",
    "src/ggml-cpu/ggml-cpu.c": "int cpu(void) { return 2; }\n",
    "src/ggml.c": "int cpu(void);\nint ggml(void) { return cpu() + 1; }\n",
    "src/llama.cpp": 'extern "C" int ggml();\nextern "C" int llama_three() { return ggml(); }\n',
}

# Of the real environment only what a build cannot do without.
_PASSED_ON = ("HOME", "LANG", "PATH", "SYSTEMROOT", "TMPDIR", "CC", "CXX")


@pytest.fixture
def tiny_llama_cpp(tmp_path: Path) -> Path:
    """A tree of llama.cpp's shape that compiles in two seconds."""
    folder = tmp_path / "tiny-llama.cpp"
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def clean_environment(tmp_path: Path) -> dict[str, str]:
    """An environment without switches of headrace and pip, and with a cache of its own."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment["HEADRACE_CACHE_DIR"] = str(tmp_path / "cache")
    for switch in ("HEADRACE_BARRIER", "HEADRACE_ATTENTION"):
        environment[switch] = "0"  # the miniature has nothing to patch
    return environment


@pytest.fixture
def no_index(tmp_path: Path) -> dict[str, str]:
    """Pip settings under which only an empty folder of archives is in reach."""
    archives = tmp_path / "archives"
    archives.mkdir()
    return {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(archives),
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the native distribution is built from, without anything built."""
    return copy_checkout(tmp_path / "checkout")


def copy_checkout(folder: Path) -> Path:
    """Copy what the native distribution is built from to a new folder."""
    folder.mkdir()
    for name in ("setup.py", "pyproject.toml", "build_ffi.py", "MANIFEST.in", "LICENSE"):
        shutil.copy2(ROOT / name, folder)
    built = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "lib", "licenses", "*.json")
    for name in ("native_build", "ffi", "src/headrace_llamacpp_ffi"):
        shutil.copytree(ROOT / name, folder / name, ignore=built)
    return folder


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def run_command(
    *command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with its whole output as text in ``stdout``."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def run() -> Run:
    """``run_command``, for tests."""
    return run_command


@pytest.fixture
def build_libraries(run: Run, clean_environment: dict[str, str]) -> Run:
    """Run ``python -m native_build``, with further environment variables."""

    def build(**extra: str) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, "-m", "native_build", env=clean_environment | extra)

    return build


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real wheel, built as a user builds it; the tree it was built from is gone."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout = copy_checkout(folder / "checkout")
    command = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, ".")
    result = run_command(*command, cwd=checkout)
    assert result.returncode == 0, result.stdout
    shutil.rmtree(checkout)
    (wheel,) = folder.glob("*.whl")
    return wheel
