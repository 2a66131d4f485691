"""The built documentation site (`mkdocs build --strict`): whole, and alone in the world."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import headrace
import headrace.errors

SITE = Path(__file__).parents[2] / "build" / "site"
FETCHING = {
    "audio": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
"""Elements for which a browser asks by itself, and where they say what for."""


class Page(HTMLParser):
    """What a page fetches, and the anchors it has."""

    def __init__(self, path):
        super().__init__()
        self.fetched = []
        self.anchors = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        """Note what it fetches and its id."""
        found = dict(attributes)
        self.anchors.add(found.get("id"))
        if tag in FETCHING and found.get("rel") != "canonical":
            self.fetched.append(found.get(FETCHING[tag]) or "")


def pages():
    """The files of the site."""
    assert SITE.is_dir(), "run `mkdocs build --strict` first"
    return sorted(SITE.rglob("*.html"))


@pytest.fixture(scope="module")
def read():
    """Every page by its name."""
    return {path.relative_to(SITE).as_posix(): Page(path) for path in pages()}


def test_no_page_fetches_anything_from_elsewhere(read):
    """No fonts, no scripts, no pictures of other hosts."""
    assert read
    for name, page in read.items():
        for address in page.fetched:
            assert not re.match(r"\w+:|//", address), f"{name} fetches {address}"


def test_no_style_fetches_anything_from_elsewhere():
    """Nor do the style sheets."""
    sheets = list(SITE.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        found = re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')]+)", sheet.read_text())
        assert not found, f"{sheet.name} fetches {found}"


def test_no_page_makes_the_theme_fetch_something(read):
    """Its script fetches Mermaid where there is a diagram, and statistics where a repository is."""
    for path in pages():
        text = path.read_text()
        assert 'class="mermaid"' not in text, f"{path.name} has a Mermaid diagram: use a picture"
        assert 'data-md-component="source"' not in text, f"{path.name} shows a repository"


def test_every_error_has_its_place(read):
    """To which ``HeadraceError.docs`` leads."""
    for each in vars(headrace.errors).values():
        if isinstance(each, type) and issubclass(each, headrace.HeadraceError):
            page, anchor = each("no").docs.removeprefix("docs/").split("#")
            assert anchor in read[page.replace(".md", ".html")].anchors


@pytest.mark.parametrize("name", sorted(set(headrace.__all__) - {"__version__"}))
def test_the_reference_has_every_public_name(read, name):
    """On some page; ``Model`` and ``Session`` as protocols."""
    value = getattr(headrace, name)
    anchors = {f"{value.__module__}.{name}", f"headrace.{name}"}
    assert any(anchors & page.anchors for page in read.values())


def test_fields_show_their_defaults(read):
    """And not how attrs is told of them."""
    text = (SITE / "reference" / "params.html").read_text()
    assert "attrs" not in re.sub(r"<[^>]*>", "", text).replace("attrs.evolve", "")
    assert re.search(r"n_sequences.{0,400}?8", text, re.DOTALL)


def test_the_search_index_is_on_board():
    """Search asks nobody else: the index lies beside the pages."""
    assert (SITE / "search" / "search_index.json").stat().st_size > 100_000
