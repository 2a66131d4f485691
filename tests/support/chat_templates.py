"""The chat templates that llama.cpp tests itself with: some seventy, of real models.

They are in the source tree that the binding was built from, or in the pinned
source distribution, of which they are kept in headrace's cache.
"""

from __future__ import annotations

import functools
from pathlib import Path

from native_build.download import fetch
from native_build.pin import PINNED
from native_build.scratch import scratch_folder
from native_build.settings import Settings

_FOLDER = Path("models") / "templates"


@functools.cache
def folder() -> Path:
    """The folder of ``.jinja`` files."""
    settings = Settings.from_environment()
    if settings.source_dir is not None and (settings.source_dir / _FOLDER).is_dir():
        return settings.source_dir / _FOLDER
    kept = settings.cache_dir / "templates" / f"{PINNED.project}-{PINNED.version}"
    if not kept.is_dir():
        _fetch(settings.cache_dir, kept)
    return kept


def names() -> list[str]:
    """Their names, sorted."""
    return sorted(path.stem for path in folder().glob("*.jinja"))


def source(name: str) -> str:
    """One of them."""
    return (folder() / f"{name}.jinja").read_text(encoding="utf-8")


def _fetch(cache_dir: Path, kept: Path) -> None:
    with scratch_folder(cache_dir) as scratch:
        fetch(PINNED, scratch / "llama.cpp", ("models",), cache_dir)
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            (scratch / "llama.cpp" / _FOLDER).rename(kept)
        except OSError:
            if not kept.is_dir():  # else another test run was quicker
                raise
