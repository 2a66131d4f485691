"""For pytest in llama.cpp's folder of tests: no model is downloaded before them."""

from __future__ import annotations

import sys
from typing import Any


def pytest_collection_finish(session: Any) -> None:
    """Have what loads all models first do nothing; the adapter brings its own."""
    presets = getattr(sys.modules.get("utils"), "ServerPreset", None)
    if presets is not None:
        presets.load_all = staticmethod(lambda: None)
