"""The tiny model as a fixture."""

from __future__ import annotations

import pytest
from tiny import save_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> str:
    """Reference of a tiny model."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")
