"""What the user asked for, read once from the environment.

The environment is the only channel that reaches a build through every front end (pip, build,
tox, ``python build_ffi.py``) in the same way.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import BuildError

ROOT = Path(__file__).resolve().parent.parent

_WORDS = {"0": False, "no": False, "off": False, "false": False}
_WORDS |= {"1": True, "yes": True, "on": True, "true": True}


@dataclass(frozen=True)
class Settings:
    """The switches of the build.

    Attributes:
        cache_dir: Where sources and built libraries are kept (``HEADRACE_CACHE_DIR``).
        source_dir: A llama.cpp tree to build instead of the pinned one
            (``HEADRACE_LLAMA_CPP_SOURCE``).
        prefix: An installed llama.cpp to use instead of building one
            (``HEADRACE_LLAMA_CPP_PREFIX``).
        cmake_args: Options for llama.cpp's CMake, after ours (``HEADRACE_CMAKE_ARGS``).
        portable: Kernels for every CPU level instead of this machine's (``HEADRACE_PORTABLE``).
        barrier: Threads that wait for each other sleep after a while (``HEADRACE_BARRIER``), which
            takes a patch of llama.cpp.
        attention: Attention passes over what a row does not see (``HEADRACE_ATTENTION``), which
            takes a patch too.
    """

    cache_dir: Path
    source_dir: Path | None = None
    prefix: Path | None = None
    cmake_args: tuple[str, ...] = ()
    portable: bool = False
    barrier: bool = True
    attention: bool = True

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read and check the switches.

        Raises:
            BuildError: A value cannot be meant, or two of them exclude each other.
        """
        settings = cls(
            cache_dir=_cache_dir(environ),
            source_dir=_folder(environ, "HEADRACE_LLAMA_CPP_SOURCE", "include/llama.h"),
            prefix=_folder(environ, "HEADRACE_LLAMA_CPP_PREFIX", "include/llama.h"),
            cmake_args=tuple(_split(environ.get("HEADRACE_CMAKE_ARGS", ""))),
            portable=_switch(environ, "HEADRACE_PORTABLE", default=False),
            barrier=_switch(environ, "HEADRACE_BARRIER", default=True),
            attention=_switch(environ, "HEADRACE_ATTENTION", default=True),
        )
        settings._check_exclusive()
        return settings

    def _check_exclusive(self) -> None:
        if self.prefix is None:
            return
        others = {
            "HEADRACE_LLAMA_CPP_SOURCE": self.source_dir,
            "HEADRACE_CMAKE_ARGS": self.cmake_args,
            "HEADRACE_PORTABLE": self.portable,
        }
        for name, value in others.items():
            if value:
                raise BuildError(
                    f"HEADRACE_LLAMA_CPP_PREFIX and {name} are both set, but nothing is built "
                    "when an installed llama.cpp is used.",
                    "unset one of the two.",
                )


def _cache_dir(environ: Mapping[str, str]) -> Path:
    chosen = environ.get("HEADRACE_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return _platform_cache(environ) / "headrace"


def _platform_cache(environ: Mapping[str, str]) -> Path:
    if environ.get("XDG_CACHE_HOME"):
        return Path(environ["XDG_CACHE_HOME"])
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path.home() / ".cache"


def _folder(environ: Mapping[str, str], name: str, landmark: str) -> Path | None:
    value = environ.get(name)
    if not value:
        return None
    # Relative to the repository: front ends run the build from folders of their own.
    folder = (ROOT / Path(value).expanduser()).resolve()
    if not (folder / landmark).is_file():
        raise BuildError(
            f"{name} is {value}, but there is no {landmark} in it.",
            "give the top folder of a llama.cpp tree (source) or installation (prefix), "
            "or unset the variable to build the pinned llama.cpp.",
        )
    return folder


def _split(options: str) -> list[str]:
    try:
        return shlex.split(options, posix=os.name != "nt")
    except ValueError as error:
        raise BuildError(
            f"HEADRACE_CMAKE_ARGS cannot be split into options: {error}.",
            'quote it like a shell command line, for example "-DGGML_CUDA=ON -DGGML_LTO=ON".',
        ) from None


def _switch(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = environ.get(name, "")
    try:
        return _WORDS[value.strip().lower()] if value.strip() else default
    except KeyError:
        raise BuildError(f"{name} is {value!r}.", "set it to 1 or 0.") from None
