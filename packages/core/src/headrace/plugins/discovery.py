"""Finds what the installed plugins bring, one plugin at a time, trusting none of them.

pluggy's bulk loader lets a failing import escape and skips a second plugin of
the same name without a word. Here each plugin gets a manager of its own, every
step is guarded, and what fails goes into a quarantine with its reason, where
``headrace backends`` shows it. One broken plugin never hides another.

Entry points of two groups are plugins: ``headrace.backends``, and ``headrace.plugins``
for those that bring something else. Any hook may be implemented in either. What the
core brings itself goes through the same hooks, and is there whatever is selected.

Environment:
    ``HEADRACE_PLUGINS``: comma-separated names of plugins (their entry points)
    or of distributions; only these are imported. Set but empty: none.
    ``HEADRACE_STRICT_PLUGINS``: ``1`` raises instead of quarantining.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any

import attrs

from headrace.errors import BackendError, BackendProtocolError, BackendUnavailableError
from headrace.plugins.registering import (
    BACKENDS,
    OBSERVERS,
    RESOLVERS,
    Installed,
    InstalledBackend,
    InstalledObserver,
    InstalledResolver,
    Kind,
    registered_by,
)
from headrace.protocols import Backend
from headrace.protocols.references import Resolver

GROUPS = ("headrace.backends", "headrace.plugins")
SELECT_VARIABLE = "HEADRACE_PLUGINS"
STRICT_VARIABLE = "HEADRACE_STRICT_PLUGINS"


@attrs.frozen
class Quarantined:
    """A plugin, or one thing of a plugin, that is not used, and why."""

    plugin: str
    """Name of the entry point, or what ``HEADRACE_PLUGINS`` called it."""
    distribution: str | None
    """Distribution that declares the entry point; None if there is none."""
    distribution_version: str | None
    """Version of that distribution."""
    error: BackendError
    """What a strict discovery raises."""
    traceback: str
    """The whole traceback, causes included."""

    @property
    def reason(self) -> str:
        """The error in one line."""
        return " ".join(str(self.error).split())


@attrs.frozen
class Discovery:
    """What is installed and what is quarantined, each in a stable order."""

    backends: tuple[InstalledBackend, ...] = ()
    quarantine: tuple[Quarantined, ...] = ()
    resolvers: tuple[InstalledResolver, ...] = ()
    observers: tuple[InstalledObserver, ...] = ()

    def resolver(self, scheme: str) -> Resolver | None:
        """The resolver of that scheme, or None."""
        return next((each.resolver for each in self.resolvers if each.name == scheme), None)

    def find(self, name: str) -> Backend | None:
        """The backend of that name, or None."""
        return next((each.backend for each in self.backends if each.name == name), None)


_cache: dict[tuple[object, ...], Discovery] = {}


def discover(*, refresh: bool = False) -> Discovery:
    """Import the installed plugins and check what they register.

    The answer is kept as long as ``sys.path`` and the environment variables stay the same.

    Args:
        refresh: Look again, for plugins installed since.

    Raises:
        BackendProtocolError: In strict mode, for a plugin that breaks the protocol.
        BackendUnavailableError: In strict mode, for one that is missing or cannot be imported.
    """
    selection = os.environ.get(SELECT_VARIABLE)
    strict = os.environ.get(STRICT_VARIABLE, "").lower() not in ("", "0", "false", "no", "off")
    key = (tuple(sys.path), selection, strict)
    if refresh or key not in _cache:
        found = _Collector(strict).collect(_entry_points(), _wanted(selection))
        _cache.clear()
        _cache[key] = found
        return found
    return _cache[key]


def _entry_points() -> list[metadata.EntryPoint]:
    """The groups' entry points, in an order that does not depend on the file system."""
    found = [each for group in GROUPS for each in metadata.entry_points(group=group)]
    return sorted(found, key=lambda each: (_normal(_origin(each)[0] or ""), each.name))


def _wanted(selection: str | None) -> list[str] | None:
    if selection is None:
        return None
    return [name.strip() for name in selection.split(",") if name.strip()]


def _origin(entry: metadata.EntryPoint) -> tuple[str | None, str | None]:
    """Name and version of an entry point's distribution, as far as its metadata tells."""
    try:
        if entry.dist is not None:
            return entry.dist.metadata["Name"], entry.dist.version
    except Exception:  # damaged metadata must not hide the other plugins
        pass
    return None, None


def _normal(name: str) -> str:
    """A distribution's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


class _Collector:
    """One walk over the entry points."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._found: list[tuple[Kind, Installed]] = []
        self._quarantine: list[Quarantined] = []

    def collect(
        self, entries: Iterable[metadata.EntryPoint], wanted: list[str] | None
    ) -> Discovery:
        entries = list(entries)
        self._add_own()
        for entry in entries if wanted is None else self._select(entries, wanted):
            self._add_plugin(entry.name, _origin(entry), entry.load)
        return Discovery(
            self._of_kind(BACKENDS),
            tuple(self._quarantine),
            self._of_kind(RESOLVERS),
            self._of_kind(OBSERVERS),
        )

    def _of_kind(self, kind: Kind) -> tuple[Any, ...]:
        return tuple(found for each, found in self._found if each is kind)

    def _add_own(self) -> None:
        import headrace
        from headrace.references import plugin

        self._add_plugin("references", ("headrace", headrace.__version__), lambda: plugin)

    def _select(
        self, entries: list[metadata.EntryPoint], wanted: list[str]
    ) -> Iterator[metadata.EntryPoint]:
        unknown = dict.fromkeys(wanted)
        for entry in entries:
            names = {name for name in wanted if _is_named(entry, name)}
            for name in names:
                unknown.pop(name, None)
            if names:
                yield entry
        for name in unknown:
            installed = ", ".join(dict.fromkeys(entry.name for entry in entries)) or "none"
            error = BackendUnavailableError(
                f"{SELECT_VARIABLE} names {name!r}, but no such plugin is installed",
                hint=f"Installed plugins: {installed}.",
            )
            self._set_aside(name, (None, None), error, None)

    def _add_plugin(
        self, plugin: str, origin: tuple[str | None, str | None], load: Callable[[], object]
    ) -> None:
        try:
            candidates = registered_by(load(), plugin)
        except (Exception, SystemExit) as error:  # sys.exit() at import too
            self._set_aside(plugin, origin, _typed(plugin, error), error)
            return
        for kind, candidate in candidates:
            try:
                self._add(kind, plugin, origin, candidate)
            except (Exception, SystemExit) as error:
                self._set_aside(plugin, origin, _typed(plugin, error), error)

    def _add(
        self, kind: Kind, plugin: str, origin: tuple[str | None, str | None], candidate: object
    ) -> None:
        name = kind.name_of(candidate, origin[0])
        taken = [each for what, each in self._found if what is kind and each.name == name]
        if taken and kind.unique:
            raise BackendProtocolError(
                f"plugin {plugin!r} brings a second {kind.noun} named {name!r}; "
                f"the one of {taken[0].distribution or taken[0].plugin} is used",
                hint=f"Uninstall one of them, or choose plugins with {SELECT_VARIABLE}.",
                backend=name if kind is BACKENDS else None,
            )
        self._found.append((kind, kind.make(name, plugin, *origin, candidate)))

    def _set_aside(
        self,
        plugin: str,
        origin: tuple[str | None, str | None],
        error: BackendError,
        cause: BaseException | None,
    ) -> None:
        if self._strict:
            raise error from (cause if cause is not error else None)
        trace = "".join(traceback.format_exception(cause or error))
        # A kept traceback would keep the frames of the failed plugin alive.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        self._quarantine.append(Quarantined(plugin, *origin, error, trace))


def _is_named(entry: metadata.EntryPoint, name: str) -> bool:
    distribution = _origin(entry)[0]
    return name == entry.name or (
        distribution is not None and _normal(name) == _normal(distribution)
    )


def _typed(plugin: str, error: BaseException) -> BackendError:
    """The error a strict discovery raises for what a plugin did."""
    if isinstance(error, BackendError):
        return error
    told = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError):
        return BackendUnavailableError(f"plugin {plugin!r} cannot be imported: {told}")
    return BackendProtocolError(f"plugin {plugin!r} failed: {told}")
