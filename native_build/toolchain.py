"""The compilers, CMake and Ninja, looked for before anything long begins."""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from .errors import BuildError

_INSTALL_A_COMPILER = (
    "install a C++17 compiler (Debian, Ubuntu: apt install build-essential; Fedora: dnf install "
    "gcc-c++; macOS: xcode-select --install; Windows: Visual Studio Build Tools), or name yours "
    "with the environment variables CC and CXX."
)

_PROBE = "#include <optional>\n#include <string_view>\nint main() { return 0; }\n"


@dataclass(frozen=True)
class Compiler:
    """A compiler as it is called.

    Attributes:
        command: Program and fixed arguments (``CC`` may be ``ccache gcc``).
        version: What it says of itself, one line.
    """

    command: tuple[str, ...]
    version: str

    @classmethod
    def find(cls, variable: str, candidates: tuple[str, ...]) -> Compiler:
        """The compiler that an environment variable names, or the first candidate there is.

        Raises:
            BuildError: There is none.
        """
        named = os.environ.get(variable, "")
        for words in [shlex.split(named)] if named else [[name] for name in candidates]:
            if shutil.which(words[0]):
                return cls(tuple(words), _first_line([*words, "--version"]))
        if named:
            problem = f"{variable} names the compiler {named}, which cannot be found."
        else:
            problem = f"no compiler found (looked for {', '.join(candidates)} in PATH)."
        raise BuildError(problem, _INSTALL_A_COMPILER)

    def macros(self, *flags: str) -> dict[str, str]:
        """The macros the compiler predefines under some flags: what it takes for granted.

        Empty where the compiler has no such option (Visual C++).
        """
        command = [*self.command, *flags, "-dM", "-E", "-x", "c", "-"]
        result = subprocess.run(command, input="", capture_output=True, text=True, check=False)
        lines = (line.split(None, 2) for line in result.stdout.splitlines())
        return {words[1]: words[2] if len(words) > 2 else "" for words in lines}


@dataclass(frozen=True)
class Toolchain:
    """What compiles llama.cpp and the extension, both with the same compilers.

    Attributes:
        c: The C compiler; None on Windows, where CMake and setuptools find Visual C++.
        cxx: The C++ compiler; None likewise.
    """

    c: Compiler | None
    cxx: Compiler | None

    @classmethod
    def find(cls) -> Toolchain:
        """Find the compilers and try them.

        Raises:
            BuildError: A compiler or the headers of Python are missing, or C++17 does not work.
        """
        _check_python_headers()
        if sys.platform == "win32":
            return cls(None, None)
        toolchain = cls(
            Compiler.find("CC", ("cc", "gcc", "clang")),
            Compiler.find("CXX", ("c++", "g++", "clang++")),
        )
        _check_cxx17(toolchain.cxx)
        return toolchain

    def export(self) -> None:
        """Make CMake and setuptools, both of which read the environment, use these compilers.

        Left alone, setuptools would call the compiler that Python itself was built with, on
        another machine.
        """
        for variable, compiler in (("CC", self.c), ("CXX", self.cxx)):
            if compiler is not None:
                os.environ[variable] = shlex.join(compiler.command)

    @property
    def version(self) -> str:
        """The C++ compiler, for the record of the build."""
        return "unknown" if self.cxx is None else self.cxx.version


def find_tool(name: str, folder_attribute: str) -> str:
    """CMake or Ninja: the one installed by pip for this Python, else the one in PATH.

    Args:
        name: Of the program, and of the Python package that carries it.
        folder_attribute: Where that package keeps the folder of its programs.

    Raises:
        BuildError: There is neither.
    """
    try:
        folder = getattr(importlib.import_module(name), folder_attribute)
    except (ImportError, AttributeError):
        folder = None
    for path in (folder, None):
        found = shutil.which(name, path=path)
        if found:
            return found
    raise BuildError(f"{name} is missing.", f"run {sys.executable} -m pip install {name}.")


def _check_python_headers() -> None:
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        raise BuildError(
            f"the C headers of Python {sys.version_info[0]}.{sys.version_info[1]} are missing.",
            "install them (Debian, Ubuntu: apt install python3-dev; Fedora: dnf install "
            "python3-devel).",
        )


def _check_cxx17(compiler: Compiler | None) -> None:
    assert compiler is not None
    command = [*compiler.command, "-std=c++17", "-fsyntax-only", "-x", "c++", "-"]
    result = subprocess.run(command, input=_PROBE, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        name = " ".join(compiler.command)
        problem = f"the compiler {name} cannot compile a small C++17 program."
        raise BuildError(problem, _INSTALL_A_COMPILER, result.stderr[-2000:])


def _first_line(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return next(iter(result.stdout.splitlines()), "unknown").strip()


def deployment_target() -> None:
    """On macOS, build the libraries for the system version that the wheel's tag promises."""
    target = sysconfig.get_config_var("MACOSX_DEPLOYMENT_TARGET")
    if sys.platform == "darwin" and target:
        os.environ.setdefault("MACOSX_DEPLOYMENT_TARGET", str(target))
