"""The files that editors, git and hooks read agree with those that decide."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_hooks_have_the_formatter_of_the_lint_environment():
    """Another version formats a little differently."""
    asked = re.findall(r"ruff==[\d.]+", (ROOT / ".pre-commit-config.yaml").read_text())
    (pinned,) = re.findall(r"ruff==[\d.]+", (ROOT / "tox.ini").read_text())
    assert asked == [pinned] * 2


def test_hooks_come_from_no_other_host():
    """They are installed as any package is."""
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", text) == ["local"]


def test_editors_know_the_length_of_a_line():
    """Ruff's."""
    (length,) = re.findall(r"^line-length = (\d+)", (ROOT / "pyproject.toml").read_text(), re.M)
    assert f"max_line_length = {length}" in (ROOT / ".editorconfig").read_text()
