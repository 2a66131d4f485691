"""The changes of llama.cpp's own code: how ggml's threads wait, and what its attention passes over.

Each is a patch of one file, in a folder of ``ffi`` with what the changed file includes. The changed
file is a copy in the build's folder, which ``patched.cmake`` has compiled in the original's place;
the source stays as it was fetched. A hunk is found by its text and not by its line, so that a
user's tree that is a little older or newer serves too, and has to be there once.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import BuildError
from .settings import ROOT, Settings
from .source import Source

INCLUDED = ROOT / "ffi" / "patched.cmake"
"""What CMake includes to have the copies compiled."""

_FOLDER = "headrace-patched"


@dataclass(frozen=True)
class Patch:
    """A change of one file that can be left out."""

    name: str
    """Its folder in ``ffi``, and what it is called in the settings."""

    without: str
    """What a build has that leaves it out."""

    @property
    def folder(self) -> Path:
        """Where the patch lies, and the headers that the changed file includes."""
        return ROOT / "ffi" / self.name

    @property
    def switch(self) -> str:
        """The variable of the environment that leaves it out."""
        return f"HEADRACE_{self.name.upper()}"

    @property
    def file(self) -> Path:
        """The patch."""
        (file,) = self.folder.glob("*.patch")
        return file

    @property
    def target(self) -> str:
        """The file that it changes, from the root of llama.cpp's tree."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        (line,) = (line for line in lines if line.startswith("+++ b/"))
        return line.removeprefix("+++ b/")

    def hunks(self) -> Iterator[tuple[str, str]]:
        """What each hunk wants to find, and what it puts there."""
        for hunk in self.file.read_text(encoding="utf-8").split("\n@@ ")[1:]:
            # An editor may have taken the blank from the end of an empty line.
            lines = [line or " " for line in hunk.splitlines()[1:]]
            before = [line[1:] + "\n" for line in lines if line[0] in " -"]
            after = [line[1:] + "\n" for line in lines if line[0] in " +"]
            yield "".join(before), "".join(after)

    @property
    def remedy(self) -> str:
        """What to do where it does not fit."""
        file = self.file.relative_to(ROOT).as_posix()
        return (
            f"set {self.switch}=0 to build it with {self.without} (docs/building.md), "
            f"or mend {file}."
        )


PATCHES = (
    Patch("barrier", "its own barrier, which is slow beside other programs"),
    Patch("attention", "its own attention, which is slow with many sessions at work"),
)


def chosen_patches(settings: Settings) -> tuple[Patch, ...]:
    """Those that are not switched off."""
    return tuple(patch for patch in PATCHES if getattr(settings, patch.name))


def write_patched(patches: Iterable[Patch], source: Source, build: Path) -> Path:
    """Make the copies, and lay beside them what they include; returns their folder.

    Raises:
        BuildError: A patch does not fit the source.
    """
    folder = build / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for patch in patches:
        original = source.folder / patch.target
        if not original.is_file():
            raise BuildError(
                f"llama.cpp {source.commit} has no {patch.target} to patch.", patch.remedy
            )
        patched = _apply(patch, original.read_text(encoding="utf-8"), source)
        (folder / original.name).write_text(patched, encoding="utf-8")
        for header in patch.folder.glob("*.h"):
            shutil.copy2(header, folder)
    return folder


def _apply(patch: Patch, text: str, source: Source) -> str:
    for before, after in patch.hunks():
        if text.count(before) != 1:
            raise BuildError(
                f"{patch.file.name} does not fit llama.cpp {source.commit}: this is "
                f"{'in it more than once' if before in text else 'not in it'}:\n{before.rstrip()}",
                patch.remedy,
            )
        text = text.replace(before, after)
    return text
