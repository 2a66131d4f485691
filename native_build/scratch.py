"""Folders for work in progress: beside the cache, so that a finished one can be renamed into it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import BuildError


@contextmanager
def scratch_folder(cache_dir: Path) -> Iterator[Path]:
    """A new folder on the cache's file system, removed at the end.

    Raises:
        BuildError: The cache cannot be written to.
    """
    try:
        parent = cache_dir / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
    except OSError as error:
        raise BuildError(
            f"the cache folder {cache_dir} cannot be written to: {error.strerror}.",
            "make it writable, or set HEADRACE_CACHE_DIR to a folder that is.",
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
