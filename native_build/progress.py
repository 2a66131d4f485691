"""Telling the user where a long build is, and keeping a tool's output for when it fails.

Everything goes to stderr with one prefix, so that it can be told from the output of the front
end and filtered out of it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_SECONDS_BETWEEN_LINES = 5.0

NINJA_STEPS = re.compile(r"\[(\d+)/(\d+)\]")
PIP_BYTES = re.compile(r"Progress (\d+) of (\d+)")


def say(text: str) -> None:
    """Print one progress line."""
    print(f"headrace: {text}", file=sys.stderr, flush=True)


class StepCounter:
    """Turns a tool's many progress lines into few: one every some seconds, and the last.

    Args:
        label: What is being done.
        pattern: Of a progress line: a group for what is done, and one for the whole.
        unit: What is counted, with the number of its parts: ``("MB", 1_000_000)``.
        clock: Where the time comes from; a test brings its own.
    """

    def __init__(
        self,
        label: str,
        pattern: re.Pattern[str] = NINJA_STEPS,
        unit: tuple[str, int] = ("", 1),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label = label
        self._pattern = pattern
        self._unit, self._size = unit
        self._clock = clock
        self._last_said = clock()

    def __call__(self, line: str) -> None:
        """Look at one line of output."""
        step = self._pattern.match(line.strip())
        if step is None:
            return
        now = self._clock()
        done, whole = int(step[1]), int(step[2])
        if done == whole or now - self._last_said >= _SECONDS_BETWEEN_LINES:
            self._last_said = now
            count = f"[{done // self._size}/{whole // self._size}]"
            say(f"{self._label} {count} {self._unit}".rstrip())


def run_logged(
    command: Sequence[str | os.PathLike[str]],
    log: Path,
    on_line: Callable[[str], None] = lambda line: None,
    environ: dict[str, str] | None = None,
) -> int:
    """Run a command with its whole output in a file.

    Args:
        command: Program and arguments.
        log: The file, appended to.
        on_line: Called with each line of output.
        environ: The command's environment; this process's by default.

    Returns:
        The command's exit status.
    """
    with log.open("a", encoding="utf-8") as file:
        print("$", *command, file=file, flush=True)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environ,
        )
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                on_line(line)
    return process.returncode


def telling_lines(log: Path, count: int = 30) -> str:
    """The lines of a log that show why a tool failed: from the first error on, else the last."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    marks = ("error:", "CMake Error", "FAILED:", "fatal:", "ERROR:")
    first = next((n for n, line in enumerate(lines) if any(m in line for m in marks)), None)
    chosen = lines[-count:] if first is None else lines[first : first + count]
    return "\n".join(chosen)
