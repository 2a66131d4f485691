"""Versions of the protocol: each plugin writes its own down, and what does not fit is told.

A plugin that takes the core's constant says it fits whatever is installed; the check
would then never find anything.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace
from headrace import scaffold
from headrace.backend.plugins import discover, validate_backend
from headrace.protocols import PROTOCOL_VERSION
from tests.unit.testing.text_only import EchoBackend

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "packages/core/src/headrace/scaffold/template"
PLUGINS = [*sorted(ROOT.glob("packages/backend-*")), *sorted(ROOT.glob("examples/headrace-*"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sources(place: Path) -> Iterator[str]:
    """The Python of a folder, a template or a page; placeholders become names."""
    if place.suffix == ".md":
        yield from BLOCK.findall(place.read_text())
        return
    for path in (*place.rglob("*.py"), *place.rglob("*.py.tmpl")):
        if not path.relative_to(place).parts[0].startswith("."):
            yield re.sub(r"\$\{?(\w+)\}?", r"\1", path.read_text())


def named_versions(source: str) -> Iterator[ast.expr]:
    """What is assigned to ``protocol_version``."""
    for node in ast.walk(ast.parse(source)):
        targets = node.targets if isinstance(node, ast.Assign) else ()
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = (node.target,)
        for target in targets:
            if isinstance(target, ast.Name) and target.id == "protocol_version":
                yield node.value


@pytest.mark.parametrize(
    "place",
    [*PLUGINS, TEMPLATE, TEMPLATE.parent / "service", ROOT / "docs" / "backends.md"],
    ids=lambda place: str(place.relative_to(ROOT)),
)
def test_a_plugin_names_its_version_as_a_number(place):
    """In our own, in what ``new-backend`` writes, in the example and in the guide."""
    found = [each for source in sources(place) for each in named_versions(source)]
    assert [ast.unparse(each) for each in found] == [str(PROTOCOL_VERSION)]
    assert not any("PROTOCOL_VERSION" in source for source in sources(place))


def requirements(pyproject: Path) -> list[str]:
    """What a project depends on."""
    (found,) = re.findall(r"^dependencies = (\[.*?\])$", pyproject.read_text(), re.M | re.S)
    return ast.literal_eval(found)


def this_minor_version() -> str:
    """The versions that may speak the same protocol, as a requirement has them."""
    major, minor = (int(each) for each in headrace.__version__.split(".")[:2])
    return f">={major}.{minor},<{major}.{minor + 1}"


@pytest.mark.parametrize("project", PLUGINS, ids=lambda project: project.name)
def test_a_plugin_requires_the_headrace_it_was_written_for(project):
    """And its native part, where it has one: pip keeps together what belongs together."""
    found = requirements(project / "pyproject.toml")
    ours = {each for each in found if each.startswith("headrace")}
    assert f"headrace{this_minor_version()}" in ours
    assert all(each.endswith(this_minor_version()) for each in ours)


def test_a_new_project_requires_the_headrace_that_wrote_it(tmp_path):
    """The guide shows the same line."""
    project = scaffold.new_backend("brand-new", tmp_path / "project")
    line = f'dependencies = ["headrace{this_minor_version()}"]'
    assert line in (project / "pyproject.toml").read_text()
    assert line in (ROOT / "docs" / "backends.md").read_text()


class Dated(EchoBackend):
    """A backend of another time."""

    def __init__(self, version: object) -> None:
        self.protocol_version = version


@pytest.mark.parametrize(
    ("version", "message", "remedy"),
    [
        (1, "version 1, this headrace speaks version 2", "Upgrade it: pip install --upgrade its-"),
        (99, "version 99, this headrace", "pip install --upgrade headrace"),
        ("1", "must be a number, got '1'", "protocol_version = 2"),
        (True, "must be a number, got True", "protocol_version = 2"),
        (None, "must be a number, got None", "protocol_version = 2"),
    ],
)
def test_a_version_that_does_not_fit_is_told_with_what_to_do(version, message, remedy):
    """Older, newer, and none at all."""
    with pytest.raises(headrace.BackendProtocolError) as caught:
        validate_backend(Dated(version), "its-distribution")
    assert message in caught.value.message
    assert remedy in caught.value.hint


def test_the_quarantine_says_what_to_upgrade(site):
    """Where the user looks for the backend, too."""
    site.install_backend("mill", protocol_version="0")
    (entry,) = [each for each in discover().quarantine if each.plugin == "mill"]
    assert "protocol version 0" in entry.reason
    assert "pip install --upgrade headrace-mill" in entry.reason
    with pytest.raises(headrace.BackendNotFoundError, match="--upgrade headrace-mill"):
        headrace.load_model("x", backend="mill")


@pytest.mark.parametrize(
    "line",
    [
        "from headrace.bases import ModelBase",
        "import headrace.plugins",
        "from headrace.serial import SerialDecoder",
        "from headrace.protocols.waist import Backend",
        "from headrace.protocols import SessionBase",
    ],
)
def test_a_plugin_of_version_1_that_cannot_be_imported_says_so(site, line):
    """With what to do, for its user and for its author."""
    site.install("headrace-mill", line, plugin="mill")
    (entry,) = [each for each in discover().quarantine if each.plugin == "mill"]
    assert "written for protocol version 1, this headrace speaks version 2" in entry.reason
    assert "pip install --upgrade headrace-mill" in entry.reason
    assert "docs/from-1-to-2.md" in entry.error.hint
    assert (ROOT / "docs" / "from-1-to-2.md").exists()


@pytest.mark.parametrize(
    "line", ["import no_such_module", "from headrace.protocols import Nonsense"]
)
def test_another_import_that_fails_is_no_plugin_of_version_1(site, line):
    """It may be anything."""
    site.install("headrace-mill", line, plugin="mill")
    (entry,) = [each for each in discover().quarantine if each.plugin == "mill"]
    assert "version 1" not in entry.reason
