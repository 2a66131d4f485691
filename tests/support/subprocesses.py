"""Running a script in a Python of its own, to see how the process ends."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]


@attrs.frozen
class Ended:
    """How a script ended."""

    code: int
    output: str
    """What it printed to stdout."""
    errors: str
    """What it printed to stderr."""


def run_script(script: str, *arguments: object, timeout: float = 120) -> Ended:
    """Run a script; the arguments arrive in ``sys.argv``, the tests' helpers can be imported.

    The time limit is there so that a hang fails instead of lasting for ever.
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
