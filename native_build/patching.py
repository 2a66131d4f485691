"""The one change of llama.cpp's own code: how ggml's threads wait for each other (``ffi/barrier``).

The changed file is a copy in the build's folder, which ``barrier.cmake`` has compiled in the
original's place; the source stays as it was fetched. A hunk is found by its text and not by its
line, so that a user's tree that is a little older or newer serves too, and has to be there once.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from .errors import BuildError
from .settings import ROOT
from .source import Source

BARRIER = ROOT / "ffi" / "barrier"
_PATCH = BARRIER / "ggml-cpu.patch"
_FOLDER = "headrace-barrier"

_REMEDY = (
    "set HEADRACE_BARRIER=0 to build it with its own barrier, which is slow beside other programs "
    f"(docs/building.md), or mend {_PATCH.relative_to(ROOT).as_posix()}."
)


def write_patched(source: Source, build: Path) -> Path:
    """Make the copy, and lay beside it what it includes; returns its folder.

    Raises:
        BuildError: The patch does not fit the source.
    """
    text = _PATCH.read_text(encoding="utf-8")
    original = source.folder / _target(text)
    if not original.is_file():
        raise BuildError(f"llama.cpp {source.commit} has no {_target(text)} to patch.", _REMEDY)
    patched = _apply(text, original.read_text(encoding="utf-8"), source)
    folder = build / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / original.name).write_text(patched, encoding="utf-8")
    shutil.copy2(BARRIER / "barrier.h", folder)
    return folder


def _target(patch: str) -> str:
    (line,) = (line for line in patch.splitlines() if line.startswith("+++ b/"))
    return line.removeprefix("+++ b/")


def _apply(patch: str, text: str, source: Source) -> str:
    for before, after in _hunks(patch):
        if text.count(before) != 1:
            raise BuildError(
                f"{_PATCH.name} does not fit llama.cpp {source.commit}: this is "
                f"{'in it more than once' if before in text else 'not in it'}:\n{before.rstrip()}",
                _REMEDY,
            )
        text = text.replace(before, after)
    return text


def _hunks(patch: str) -> Iterator[tuple[str, str]]:
    """What each hunk wants to find, and what it puts there."""
    for hunk in patch.split("\n@@ ")[1:]:
        # An editor may have taken the blank from the end of an empty line.
        lines = [line or " " for line in hunk.splitlines()[1:]]
        before = [line[1:] + "\n" for line in lines if line[0] in " -"]
        after = [line[1:] + "\n" for line in lines if line[0] in " +"]
        yield "".join(before), "".join(after)
