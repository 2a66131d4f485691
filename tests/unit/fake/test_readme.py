"""The code in the fake's README runs as written."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[3] / "packages" / "backend-fake" / "README.md"


def test_the_examples_run(capsys):
    """Every Python block, in order."""
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        exec(compile(block, str(README), "exec"), {})
    assert capsys.readouterr().out == "Hello world\n"
