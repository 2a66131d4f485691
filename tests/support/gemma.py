"""The Gemma 3 270M model, for tests of what is about meaning and of real sizes."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "HEADRACE_TEST_GEMMA"
"""Names a file to use; without it the demo's model is used, and fetched if need be."""


def path() -> Path:
    """The model's file. It is under the Gemma Terms of Use."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    from headrace.cli.demo_model import model_path

    return model_path()
