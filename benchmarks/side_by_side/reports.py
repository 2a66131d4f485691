"""Figures as tables for people and pages, and as JSON for programs."""

from __future__ import annotations

import json
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import headrace
from headrace.inspection import environment


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown that is readable as it is; numbers stand to the right."""
    cells = [[*map(str, heads)], *([*map(str, row)] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(heads))]
    lines = ["| " + " | ".join(_padded(row, widths)) + " |" for row in cells]
    rule = ["-" * width + ("-" if n == 0 else ":") for n, width in enumerate(widths)]
    lines.insert(1, "|-" + "|-".join(rule) + "|")
    return "\n".join(lines)


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]


def machine() -> dict[str, object]:
    """What the figures depend on."""
    return {
        "cpu": environment.cpu()[0],
        "cores": environment.cpus(),
        "system": platform.system(),
        "python": platform.python_version(),
        "headrace": headrace.__version__,
        "at": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def write(path: Path | None, name: str, **figures: Any) -> None:
    """Write what was found to a file of JSON, if one is wanted."""
    if path is None:
        return
    command = shlex.join(["python", *sys.argv])
    found = {"benchmark": name, "command": command, "machine": machine(), **figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
