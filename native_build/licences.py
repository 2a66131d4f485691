"""The licences of what is compiled into the libraries, to travel with them."""

from __future__ import annotations

import shutil
from pathlib import Path

LICENCES = "licenses"
"""Folder of the licence files, in an installed prefix and in the package."""

# Files under another copyright that state their licence only in their first comment.
_IN_COMMENTS = {"llamafile.txt": "ggml/src/ggml-cpu/llamafile/sgemm.cpp"}


def collect_licences(source: Path, prefix: Path) -> None:
    """Put the licences of a llama.cpp tree beside the libraries built from it."""
    folder = prefix / LICENCES
    folder.mkdir()
    shutil.copy2(source / "LICENSE", folder / "llama.cpp.txt")
    for name, path in _IN_COMMENTS.items():
        file = source / path
        if file.is_file():
            text = _first_comment(file.read_text(encoding="utf-8"))
            (folder / name).write_text(text, encoding="utf-8")


def copy_licences(prefix: Path, package: Path) -> list[Path]:
    """Copy what was collected, if anything, into the package; returns the copies."""
    shutil.rmtree(package / LICENCES, ignore_errors=True)
    if not (prefix / LICENCES).is_dir():
        return []
    shutil.copytree(prefix / LICENCES, package / LICENCES)
    return sorted((package / LICENCES).iterdir())


def _first_comment(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if not line.startswith("//"):
            break
        lines.append(line[2:].strip())
    return "\n".join(lines) + "\n"
