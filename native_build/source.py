"""Where the llama.cpp tree comes from: the user's own, the one in an sdist, the cache, or pip."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .download import fetch
from .pin import PINNED, Pin
from .settings import ROOT, Settings

# Of llama.cpp's tree: what a build can need, with every ggml backend that HEADRACE_CMAKE_ARGS
# may turn on. Not its models, tools, tests and documents (200 MB).
BUILD_FILES = (
    "CMakeLists.txt",
    "LICENSE",
    "licenses",
    "cmake",
    "common",
    "ggml",
    "include",
    "src",
    "vendor",
)

BUNDLED = "llama.cpp"
"""Folder of the source distribution that holds its llama.cpp tree."""

STAMP = "headrace-source.json"
"""Written into a tree whose identity is known; a tree without it is identified by its contents."""


@dataclass(frozen=True)
class Source:
    """A llama.cpp tree.

    Attributes:
        folder: Its top folder.
        commit: The llama.cpp commit, or ``tree-`` and a hash of the contents where git does
            not tell.
        identity: Equal for equal contents, for the cache of built libraries.
    """

    folder: Path
    commit: str
    identity: str


def find_source(settings: Settings, pin: Pin = PINNED) -> Source:
    """The llama.cpp tree to build, fetched if it is nowhere yet.

    Raises:
        BuildError: It had to be fetched, and could not be.
    """
    if settings.source_dir is not None:
        return _identified_by_contents(settings.source_dir)
    bundled = ROOT / BUNDLED
    if bundled.is_dir():
        return _read_stamp(bundled) or _identified_by_contents(bundled)
    cached = settings.cache_dir / "source" / f"{pin.project}-{pin.version}-{pin.sha256[:12]}"
    return _read_stamp(cached) or _fetched(pin, cached, settings.cache_dir)


def write_stamp(folder: Path, source: Source) -> None:
    """Record in a copy of a tree what it is a copy of."""
    stamp = {"commit": source.commit, "identity": source.identity}
    (folder / STAMP).write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")


def _fetched(pin: Pin, folder: Path, cache_dir: Path) -> Source:
    fetch(pin, folder, BUILD_FILES, cache_dir)
    source = Source(folder, pin.commit, pin.sha256)
    write_stamp(folder, source)
    return source


def _read_stamp(folder: Path) -> Source | None:
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Source(folder, stamp["commit"], stamp["identity"])


def _identified_by_contents(folder: Path) -> Source:
    digest = hashlib.sha256()
    for file in build_files(folder):
        digest.update(file.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    identity = digest.hexdigest()
    return Source(folder, _git_commit(folder) or f"tree-{identity[:12]}", identity)


def build_files(folder: Path) -> Iterator[Path]:
    """The files of a tree that a build can need, in a fixed order."""
    for name in BUILD_FILES:
        path = folder / name
        if path.is_file():
            yield path
        else:
            yield from sorted(file for file in path.rglob("*") if file.is_file())


def _git_commit(folder: Path) -> str | None:
    """The commit of a git clone; None where the tree merely lies inside another repository."""
    if not (folder / ".git").exists():
        return None
    try:
        describe = ["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
        command = ["git", "-C", str(folder), *describe]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
