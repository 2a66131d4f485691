"""Where plugins come from: entry points of the installed distributions.

``importlib.metadata`` reads those of all distributions at once, and one file of
entry points that is damaged, be it of a package that has nothing to do with
headrace, then hides all. Here each is read on its own where that happens, and
what cannot be read becomes a source that fails when it is loaded.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from importlib import metadata

import attrs

from headrace._version import __version__
from headrace.common import above
from headrace.common.quotes import shown, told
from headrace.common.seam import interrupts
from headrace.errors import BackendProtocolError

GROUPS = ("headrace.backends", "headrace.plugins")
_FILE = "entry_points.txt"


@attrs.frozen
class Source:
    """A plugin that can be loaded."""

    plugin: str
    """Name of its entry point."""
    distribution: str | None
    """Distribution that declares it; None if its metadata is damaged."""
    distribution_version: str | None
    """Version of that distribution."""
    load: Callable[[], object]
    """Imports it."""

    def is_named(self, name: str) -> bool:
        """Whether that is its name, or its distribution's as pip compares them."""
        known = self.distribution
        return name == self.plugin or (known is not None and normal(name) == normal(known))


def own() -> list[Source]:
    """What headrace brings itself: it comes first, and no selection leaves it out."""
    return [
        Source(name, "headrace", __version__, _importing(module))
        for name, module in above.plugins.items()
    ]


def _importing(module: str) -> Callable[[], object]:
    return lambda: importlib.import_module(module)


def installed() -> list[Source]:
    """The plugins of all distributions, in an order that does not depend on the file system."""
    try:
        points = [each for group in GROUPS for each in metadata.entry_points(group=group)]
    except Exception as error:  # somebody's metadata is damaged
        if interrupts(error):
            raise
        found = list(_one_by_one())
    else:
        found = [_of(each) for each in _once_each(points)]
    return sorted(found, key=lambda each: (normal(each.distribution or ""), each.plugin))


def normal(name: str) -> str:
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _one_by_one() -> Iterator[Source]:
    seen: set[str] = set()
    for distribution in metadata.distributions():
        name, version = _named(distribution)
        if name is not None and normal(name) in seen:
            continue  # hidden by one of the same name that is earlier on the path
        seen.add(normal(name or ""))
        try:
            points = [each for each in distribution.entry_points if each.group in GROUPS]
        except Exception as error:
            if interrupts(error):
                raise
            if _may_be_ours(distribution):
                yield Source(name or "unknown", name, version, _failing(error))
        else:
            for each in _once_each(points):
                yield Source(each.name, name, version, _loading(each))


def _once_each(points: list[metadata.EntryPoint]) -> Iterator[metadata.EntryPoint]:
    """A distribution may declare the same plugin in both groups."""
    seen = set()
    for each in points:
        key = (each.name, each.value, None if each.dist is None else _named(each.dist)[0])
        if key not in seen:
            seen.add(key)
            yield each


def _may_be_ours(distribution: metadata.Distribution) -> bool:
    """Whether a file of entry points that cannot be understood speaks of headrace."""
    try:
        return "headrace." in (distribution.read_text(_FILE) or "")
    except Exception:  # it is no text at all
        return "headrace" in (_named(distribution)[0] or "")


def _of(entry: metadata.EntryPoint) -> Source:
    name, version = (None, None) if entry.dist is None else _named(entry.dist)
    return Source(entry.name, name, version, _loading(entry))


def _named(distribution: metadata.Distribution) -> tuple[str | None, str | None]:
    """Name and version of a distribution, as far as its metadata tells."""
    try:
        return distribution.metadata["Name"], distribution.version
    except Exception:  # damaged metadata must not hide the other plugins
        return None, None


def _loading(entry: metadata.EntryPoint) -> Callable[[], object]:
    def load() -> object:
        if not entry.pattern.match(entry.value):
            raise BackendProtocolError(
                f"entry point {shown(entry.name)} names {shown(entry.value)}, which is no module",
                hint="Its author writes: name = package.module, or package.module:object.",
            )
        return entry.load()

    return load


def _failing(error: Exception) -> Callable[[], object]:
    def load() -> object:
        raise BackendProtocolError(
            f"the distribution's {_FILE} cannot be read: {told(error)}", hint="Install it again."
        ) from error

    return load
