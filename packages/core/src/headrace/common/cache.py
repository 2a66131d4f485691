"""Where headrace keeps what it fetches."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """``HEADRACE_CACHE_DIR``, or the platform's place."""
    chosen = os.environ.get("HEADRACE_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "headrace"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "headrace"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "headrace"
    return Path.home() / ".cache" / "headrace"
