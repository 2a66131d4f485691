"""Resolvers of plugins: their references are loaded, and what they do wrong is told."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

import headrace
from headrace.backend.plugins import discover
from headrace.errors import (
    BackendNotFoundError,
    BackendProtocolError,
    ModelError,
    ModelLoadCancelledError,
    ModelNotFoundError,
    ParamsError,
)
from headrace_fake import FakeBackend

RESOLVER = """
    from pathlib import Path
    from headrace.protocols import hookimpl

    class Resolver:
        scheme = {scheme!r}
        description = "a folder: shelf:NAME"

        def resolve(self, request):
            {body}

    @hookimpl
    def headrace_register_resolvers(register):
        register(Resolver())
"""
REPORTS = "request.report(0.0); request.report(1.0); return Path({path!r})"


class TextBackend(FakeBackend):
    """Loads a text file as the fake's script."""

    name = "text"

    def load(self, request):
        """What the file says."""
        text = Path(request.reference).read_text()
        return super().load(attrs.evolve(request, reference=f"fake:{text}"))


def shelf(site, body: str, scheme: str = "shelf", name: str = "shelf") -> None:
    """Install a plugin with a resolver."""
    site.install(name, RESOLVER.format(scheme=scheme, body=body))


@pytest.fixture
def text(tmp_path) -> Path:
    """A file to load."""
    path = tmp_path / "text"
    path.write_text("Hello")
    return path


def test_a_reference_is_loaded_from_where_its_resolver_says(site, text):
    """Its name and what it brings are listed."""
    shelf(site, REPORTS.format(path=str(text)))
    with (
        headrace.load_model("shelf:x", backend=TextBackend()) as model,
        model.open_session() as session,
    ):
        assert session.complete("Say").text == "Hello"
    (found,) = [each for each in discover().resolvers if each.name == "shelf"]
    assert (found.plugin, found.distribution) == ("shelf", "shelf")


def test_fetching_and_loading_share_one_progress(site, text):
    """It never falls and ends at 1; without a fetch the load has all of it."""
    shelf(site, REPORTS.format(path=str(text)))
    seen: list[float] = []
    headrace.load_model("shelf:x", backend=TextBackend(), progress=seen.append).close()
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
    assert 0.9 in seen


def test_a_cancel_during_the_fetch_ends_the_load(site, text):
    """As one during the load does."""
    shelf(site, REPORTS.format(path=str(text)))
    with pytest.raises(ModelLoadCancelledError, match="'shelf:x' was cancelled"):
        headrace.load_model("shelf:x", backend=TextBackend(), progress=lambda fraction: False)


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("raise ZeroDivisionError('no')", ModelError, "'shelf' failed .* ZeroDivisionError: no"),
        ("raise SystemExit(3)", ModelError, r"'shelf' failed .* it called sys\.exit\(3\)"),
        ("raise BaseException('panic')", ModelError, "'shelf' failed .* BaseException: panic"),
        ("return None", BackendProtocolError, "returned None, which is no path"),
        ("return Path('a\\0b')", ModelNotFoundError, "where there is nothing"),
        ("return Path('/no/such')", ModelNotFoundError, "where there is nothing"),
    ],
)
def test_a_resolvers_mistake_is_told_with_its_scheme(site, body, error, message):
    """A typed error."""
    shelf(site, body)
    with pytest.raises(error, match=message):
        headrace.load_model("shelf:x", backend=TextBackend())


def test_what_the_callers_progress_raises_is_not_blamed_on_the_resolver(site, text):
    """It comes out as it is."""
    shelf(site, REPORTS.format(path=str(text)))

    def fail(fraction):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        headrace.load_model("shelf:x", backend=TextBackend(), progress=fail)


def test_nothing_is_fetched_for_a_backend_that_is_not_there(site):
    """The name is looked at first."""
    shelf(site, "raise AssertionError('fetched')")
    with pytest.raises(BackendNotFoundError, match="'nonesuch'"):
        headrace.load_model("shelf:x", backend="nonesuch")


@pytest.mark.parametrize(
    "reference", ["C:\\models\\x.gguf", "c:x.gguf", "Shelf:x", Path("shelf:x")]
)
def test_drives_and_paths_are_no_references(site, reference):
    """A scheme has two lower-case letters, and comes as a string."""
    shelf(site, "raise AssertionError('asked')")
    with pytest.raises(ModelNotFoundError, match="no model file"):
        headrace.load_model(reference)


def test_fetch_model_wants_a_reference(site):
    """And says which schemes there are."""
    shelf(site, "raise AssertionError('asked')")
    with pytest.raises(ParamsError, match=r"got 'model\.gguf'") as caught:
        headrace.fetch_model("model.gguf")
    assert "pypi:, hf:, shelf:" in caught.value.hint


@pytest.mark.parametrize(
    ("scheme", "reason"),
    [
        ("c", "scheme must be two or more"),
        ("Shelf", "scheme must be two or more"),
        ("pypi", "second resolver named 'pypi'; the one of headrace is used"),
    ],
)
def test_a_scheme_that_cannot_be_used_is_quarantined(site, scheme, reason):
    """Backends of other plugins are not touched."""
    shelf(site, "pass", scheme=scheme)
    (entry,) = [each for each in discover().quarantine if each.plugin == "shelf"]
    assert reason in entry.reason
    assert "fake" in headrace.backends()


def test_plugins_that_bring_no_backend_have_a_group_of_their_own(site, text):
    """Both groups are read, and selected by the same variable."""
    shelf(site, REPORTS.format(path=str(text)))
    (points,) = site.folder.glob("shelf-*.dist-info/entry_points.txt")
    points.write_text(points.read_text().replace("headrace.backends", "headrace.plugins"))
    assert "shelf" in [each.name for each in discover(refresh=True).resolvers]
