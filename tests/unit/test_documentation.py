"""Every Python block in the README and the docs runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_blocks_of_a_page_run_in_order(page, capsys):
    """As one program, on the fake backend where a page names a file."""
    program = "\n".join(BLOCK.findall(page.read_text()))
    program = program.replace('"model.gguf"', '"fake:Paris."')
    exec(compile(program, str(page), "exec"), {"__name__": "example"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    """To files that exist."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_error_class_is_explained():
    """In the table of errors or in the sentence below it."""
    import headrace.errors

    text = (ROOT / "docs" / "errors.md").read_text()
    groups = {"HeadraceError", "UsageError", "BackendError", "ModelError"}
    for name, value in vars(headrace.errors).items():
        if isinstance(value, type) and issubclass(value, headrace.HeadraceError):
            assert name in groups or f"`{name}`" in text, name
