"""What the guide to isolation shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "isolation.md"


@pytest.fixture
def answer():
    """The function of the guide."""
    names = {"__name__": "example"}
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    exec(compile("\n".join(blocks), str(GUIDE), "exec"), names)
    return names["answer"]


def test_an_isolated_model_answers(answer):
    """Like any other."""
    assert answer("fake:Paris.", "What?") == "Paris."


def test_its_death_is_told_and_the_next_load_works(answer):
    """In the words of the guide."""
    assert answer("fake:Paris.#fault_at=3&fault=segfault", "What?").startswith("The model is gone")
    assert answer("fake:Paris.", "What?") == "Paris."
