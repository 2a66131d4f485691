"""The vocabularies that llama.cpp tests itself with: some twenty, of real models, without weights.

They come with the pinned source distribution, and are kept in headrace's cache.
"""

from __future__ import annotations

import functools
from pathlib import Path

from native_build.download import fetch
from native_build.pin import PINNED
from native_build.scratch import scratch_folder
from native_build.settings import Settings


@functools.cache
def paths() -> dict[str, Path]:
    """The GGUF files by the names of the vocabularies, such as ``llama-spm``."""
    cache_dir = Settings.from_environment().cache_dir
    kept = cache_dir / "vocabularies" / f"{PINNED.project}-{PINNED.version}"
    if not kept.is_dir():
        _fetch(cache_dir, kept)
    found = sorted(kept.glob("ggml-vocab-*.gguf"))
    return {path.stem.removeprefix("ggml-vocab-"): path for path in found}


def _fetch(cache_dir: Path, kept: Path) -> None:
    with scratch_folder(cache_dir) as scratch:
        fetch(PINNED, scratch / "llama.cpp", ("models",), cache_dir)
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            (scratch / "llama.cpp" / "models").rename(kept)
        except OSError:
            if not kept.is_dir():  # else another test run was quicker
                raise
