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
_NINJA_STEP = re.compile(r"^\[(\d+)/(\d+)\]")


def say(text: str) -> None:
    """Print one progress line."""
    print(f"headrace: {text}", file=sys.stderr, flush=True)


class StepCounter:
    """Turns Ninja's ``[37/135]`` lines into few progress lines: some each minute, and the last.

    Args:
        label: What is being done.
        clock: Where the time comes from; a test brings its own.
    """

    def __init__(self, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._clock = clock
        self._last_said = clock()

    def __call__(self, line: str) -> None:
        """Look at one line of output."""
        step = _NINJA_STEP.match(line)
        if step is None:
            return
        now = self._clock()
        is_last = step[1] == step[2]
        if is_last or now - self._last_said >= _SECONDS_BETWEEN_LINES:
            self._last_said = now
            say(f"{self._label} {step[0]}")


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
