"""No import runs upwards: each layer stands on those below it alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"

CORE = [
    ["_version", "errors"],
    ["common"],
    ["grammar"],
    ["adapters"],
    ["params"],
    ["results"],
    ["requests"],
    ["streams"],
    ["state"],
    ["reference"],
    ["session"],
    ["model"],
    ["backend"],
    ["masks"],
    ["engine"],
    ["loading"],
    ["inspection"],
    [""],
    ["protocols"],
    ["scaffold", "testing"],
    ["cli"],
    ["__main__"],
]
"""The layers of ``headrace`` from the ground up, named by module or folder; "" is what callers
import. Modules of one layer may import each other, in no circle."""


def imports(path: Path) -> Iterator[str]:
    """All modules that a file imports, for types and inside of functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


def modules(root: Path) -> dict[str, Path]:
    """The modules of a package by their dotted names without the package's own."""
    found = {}
    for path in root.rglob("*.py"):
        parts = list(path.relative_to(root).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def graph(root: Path) -> dict[str, set[str]]:
    """Which modules of the same package each one imports."""
    known = modules(root)
    found: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        for imported in imports(path):
            package, _, rest = imported.partition(".")
            if package != root.name:
                continue
            while rest and rest not in known:
                rest = rest.rpartition(".")[0]
            if rest != name:
                found[name].add(rest)
    return found


def layer_of(name: str) -> int:
    """The number of a module's layer."""
    top = name.partition(".")[0]
    return next(number for number, names in enumerate(CORE) if top in names)


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Groups of modules that import each other in a circle."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for each in edges[waiting.pop()] - seen:
                seen.add(each)
                waiting.append(each)
        return seen

    reach = {name: reached(name) for name in edges}
    found = [{other for other in reach[name] if name in reach[other]} for name in edges]
    return [group for index, group in enumerate(found) if group and group not in found[:index]]


def test_every_module_of_the_core_has_a_layer():
    """A new module needs a place."""
    tops = {name.partition(".")[0] for name in modules(PACKAGES / "core/src/headrace")}

    assert tops == {name for names in CORE for name in names}


def test_no_import_of_the_core_runs_upwards():
    """Imports for types and inside of functions count, too."""
    edges = graph(PACKAGES / "core/src/headrace")

    upwards = [
        f"{name} → {other}"
        for name, others in edges.items()
        for other in others
        if layer_of(other) > layer_of(name)
    ]

    assert upwards == []


@pytest.mark.parametrize(
    "package",
    [
        "core/src/headrace",
        "backend-fake/src/headrace_fake",
        "backend-llamacpp/src/headrace_llamacpp",
        "backend-subprocess/src/headrace_subprocess",
    ],
)
def test_no_modules_import_each_other_in_a_circle(package):
    """Not within a layer either."""
    edges = graph(PACKAGES / package)
    # The one registry: it imports those that fill it, when it is asked.
    edges.get("testing.rules", set()).discard("testing.suite")

    assert [sorted(group) for group in circles(edges)] == []


@pytest.mark.parametrize("folder", ["cli", "grammar", "inspection", "loading"])
def test_no_modules_of_a_folder_import_each_other_in_a_circle(folder):
    """Nor in these parts of the core."""
    edges = graph(PACKAGES / "core/src/headrace")
    inside = {name for name in edges if name.startswith(f"{folder}.")}

    assert circles({name: edges[name] & inside for name in inside}) == []


def test_a_circle_is_found():
    """The test itself can fail."""
    edges = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}

    assert circles(edges) == [{"b", "c"}]


def test_the_child_stands_on_what_both_processes_share():
    """Nothing of the parent imports what runs in the child alone."""
    edges = graph(PACKAGES / "backend-subprocess/src/headrace_subprocess")

    from_parent = [name for name in edges if not name.startswith("child") and name != ""]
    assert [name for name in from_parent if any(o.startswith("child") for o in edges[name])] == []


def test_the_page_of_the_house_names_files_that_are_there():
    """And every floor has its place in the picture."""
    docs = PACKAGES.parent / "docs"
    page = (docs / "house.md").read_text(encoding="utf-8")
    roots = [
        PACKAGES / "core/src/headrace",
        PACKAGES / "backend-subprocess/src",
        PACKAGES / "server/src",
    ]
    roots.append(roots[0] / "backend/abilities")
    for name in re.findall(r"`([a-z_/]+\.py)`", page):
        assert any((root / name).is_file() for root in [*roots, PACKAGES.parent]), name
    picture = (docs / "pictures/layers.svg").read_text(encoding="utf-8")
    floors = {name for names in CORE for name in names} - {"", "_version", "__main__", "reference"}
    assert [name for name in floors if not re.search(rf"\b{name}\b", picture)] == []
