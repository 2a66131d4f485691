"""The part of llama.cpp's tree that goes into the source distribution."""

from __future__ import annotations

import shutil
from pathlib import Path

from .source import Source, build_files, write_stamp

# Single files of several megabytes that only tools use which are never built here.
_LEFT_OUT = {"miniaudio.h", "stb_image.h"}


def copy_for_release(source: Source, destination: Path) -> None:
    """Copy what a build needs, and a note of which llama.cpp it is."""
    for file in build_files(source.folder):
        if file.name in _LEFT_OUT:
            continue
        copy = destination / file.relative_to(source.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)
    write_stamp(destination, source)
