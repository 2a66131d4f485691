"""Finds what the installed plugins bring, one plugin at a time, trusting none of them.

pluggy's bulk loader lets a failing import escape and skips a second plugin of
the same name without a word. Here each plugin gets a manager of its own, every
step is guarded, and what fails goes into a quarantine with its reason, where
``headrace backends`` shows it. One broken plugin never hides another.

Entry points of two groups are plugins: ``headrace.backends``, and ``headrace.plugins``
for those that bring something else. Any hook may be implemented in either. What the
core brings itself goes through the same hooks, and is there whatever is selected.

No lock is held meanwhile, which a forked child might find taken, or which two
threads that import each other's modules might wait for: threads that discover at
the same time do the work twice, and one answer becomes that of all.

Environment:
    ``HEADRACE_PLUGINS``: comma-separated names of plugins (their entry points)
    or of distributions; only these are imported. Set but empty: none.
    ``HEADRACE_STRICT_PLUGINS``: ``1`` raises instead of quarantining.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import attrs

from headrace.backend.backend import Backend
from headrace.backend.host import Host
from headrace.backend.plugins import earlier, names, sources
from headrace.backend.plugins.registration import (
    BACKENDS,
    COMMANDS,
    HOSTS,
    OBSERVERS,
    RESOLVERS,
    InstalledBackend,
    InstalledCommand,
    InstalledHost,
    InstalledObserver,
    InstalledResolver,
    Kind,
    registered_by,
)
from headrace.backend.plugins.sources import Source
from headrace.backend.resolver import Resolver
from headrace.common import above
from headrace.common.overdue import told_when_overdue
from headrace.common.quotes import in_brief, told
from headrace.common.seam import interrupts
from headrace.common.variables import SELECT_VARIABLE
from headrace.errors import (
    BackendError,
    BackendProtocolError,
    BackendUnavailableError,
    UsageError,
)

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
        """The error and its remedy in one line, cut where it is long."""
        message = in_brief(self.error.message)
        return f"{message}. {in_brief(self.error.hint)}" if self.error.hint else message


@attrs.frozen
class Discovery:
    """What is installed and what is quarantined, each in a stable order."""

    backends: tuple[InstalledBackend, ...] = ()
    quarantine: tuple[Quarantined, ...] = ()
    resolvers: tuple[InstalledResolver, ...] = ()
    observers: tuple[InstalledObserver, ...] = ()
    hosts: tuple[InstalledHost, ...] = ()
    commands: tuple[InstalledCommand, ...] = ()

    def resolver(self, scheme: str) -> Resolver | None:
        """The resolver of that scheme, or None."""
        return next((each.resolver for each in self.resolvers if each.name == scheme), None)

    def host(self, name: str) -> Host | None:
        """The host of that name, or None."""
        return next((each.host for each in self.hosts if each.name == name), None)

    def find(self, name: str) -> Backend | None:
        """The backend of that name, or None."""
        return next((each.backend for each in self.backends if each.name == name), None)


@attrs.frozen
class _Answer:
    """What a discovery found, and for which surroundings that holds."""

    number: int
    """Discoveries are numbered as they begin: a later one knows more."""
    surroundings: tuple[object, ...]
    found: Discovery


# Replaced as a whole, in one store.
_answer: _Answer | None = None
_numbers = itertools.count(1)
_discovering = threading.local()


def discover(*, refresh: bool = False) -> Discovery:
    """Import the installed plugins and check what they register.

    The answer is kept as long as ``sys.path`` and the environment variables stay the same.

    Args:
        refresh: Look again, for plugins installed since.

    Raises:
        BackendProtocolError: In strict mode, for a plugin that breaks the protocol.
        BackendUnavailableError: In strict mode, for one that is missing or cannot be imported.
        UsageError: If a plugin asks, while it is imported or registers something.
    """
    selection = os.environ.get(SELECT_VARIABLE)
    strict = os.environ.get(STRICT_VARIABLE, "").lower() not in ("", "0", "false", "no", "off")
    before = _answer
    if not refresh and before is not None and before.surroundings == _key(selection, strict):
        return before.found
    number = next(_numbers)
    with _once_at_a_time():
        found = _Collector(strict).collect(selection)
    # The path as it is now: a plugin that adds to it is not to be looked for each time.
    return _published(_Answer(number, _key(selection, strict), found), refresh)


def _key(selection: str | None, strict: bool) -> tuple[object, ...]:
    return tuple(sys.path), selection, strict


def _published(mine: _Answer, refresh: bool) -> Discovery:
    """The answer for all: the first one's of threads that looked at the same time."""
    global _answer
    other = _answer
    same = other is not None and other.surroundings == mine.surroundings
    if other is not None and same and (not refresh or other.number > mine.number):
        return other.found
    _answer = mine
    return mine.found


@contextlib.contextmanager
def _once_at_a_time() -> Iterator[None]:
    """Refuse to a plugin to ask for plugins: it would be imported and asked again without end."""
    if getattr(_discovering, "now", False):
        raise UsageError(
            "plugins are being looked for in this thread",
            hint="A plugin must not load a model or ask for backends while it is imported or "
            "registers something; a backend may, in load.",
        )
    _discovering.now = True
    try:
        yield
    finally:
        _discovering.now = False


class _Collector:
    """One walk over the plugins."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._claims: list[names.Claim] = []
        self._quarantine: list[Quarantined] = []

    def collect(self, selection: str | None) -> Discovery:
        for source in sources.own():
            self._add_plugin(source, own=True)
        for source in self._selected(sources.installed(), selection):
            self._add_plugin(source)
        used = list(self._settled())
        return Discovery(
            _of_kind(used, BACKENDS),
            tuple(self._quarantine),
            _of_kind(used, RESOLVERS),
            _of_kind(used, OBSERVERS),
            _of_kind(used, HOSTS),
            _of_kind(used, COMMANDS),
        )

    def _settled(self) -> Iterator[names.Claim]:
        for claim, error in names.settle(self._claims):
            if error is None:
                yield claim
            else:
                self._set_aside(claim.source, error, error)

    def _selected(self, found: list[Source], selection: str | None) -> Iterator[Source]:
        if selection is None:
            yield from found
            return
        wanted = [name.strip() for name in selection.split(",") if name.strip()]
        yield from (each for each in found if any(each.is_named(name) for name in wanted))
        for name in dict.fromkeys(wanted):
            if not any(each.is_named(name) for each in found):
                self._set_aside(Source(name, None, None, object), _unknown(name, found), None)

    def _add_plugin(self, source: Source, own: bool = False) -> None:
        remedy = f"{SELECT_VARIABLE} can leave it out"
        with told_when_overdue(f"plugin {source.plugin!r} to be imported", remedy):
            try:
                with above.around_plugins():
                    candidates = registered_by(source.load(), source.plugin)
            except BaseException as error:  # SystemExit and the panics of other languages, too
                self._failed(source, error)
                return
            for kind, candidate in candidates:
                try:
                    with above.around_plugins():
                        self._claim(kind, candidate, source, own)
                except BaseException as error:
                    self._failed(source, error)

    def _claim(self, kind: Kind, candidate: object, source: Source, own: bool) -> None:
        name = kind.name_of(candidate, source.distribution)
        origin = source.plugin, source.distribution, source.distribution_version
        self._claims.append(names.Claim(kind, kind.make(name, *origin, candidate), source, own=own))

    def _failed(self, source: Source, error: BaseException) -> None:
        """Set a plugin aside, unless what was raised in its code is none of its own."""
        if interrupts(error) or (isinstance(error, RecursionError) and _stack_is_deep()):
            raise error
        self._set_aside(source, _typed(source.plugin, source.distribution, error), error)

    def _set_aside(self, source: Source, error: BackendError, cause: BaseException | None) -> None:
        if self._strict:
            raise error from (cause if cause is not error else None)
        trace = _traceback(cause or error)
        # A kept traceback would keep the frames of the failed plugin alive.
        error.__traceback__ = error.__cause__ = error.__context__ = None
        origin = source.plugin, source.distribution, source.distribution_version
        self._quarantine.append(Quarantined(*origin, error, trace))


def _of_kind(claims: list[names.Claim], kind: Kind) -> tuple[Any, ...]:
    return tuple(each.installed for each in claims if each.kind is kind)


def _unknown(name: str, found: list[Source]) -> BackendUnavailableError:
    installed = ", ".join(dict.fromkeys(each.plugin for each in found)) or "none"
    return BackendUnavailableError(
        f"{SELECT_VARIABLE} names {name!r}, but no such plugin is installed",
        hint=f"Installed plugins: {installed}.",
    )


def _stack_is_deep() -> bool:
    """Whether the caller has used half of the stack: then its end is not the plugin's fault."""
    frame, depth = sys._getframe(), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    return depth > sys.getrecursionlimit() // 2


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # what it is made of raises when it is asked for its text
        return f"Traceback (cannot be shown): {told(error)}\n"


def _typed(plugin: str, distribution: str | None, error: BaseException) -> BackendError:
    """The error a strict discovery raises for what a plugin did."""
    if isinstance(error, BackendError):
        return error
    if isinstance(error, ImportError) and earlier.is_of_version_1(error):
        return earlier.told_to_upgrade(plugin, distribution, error)
    if isinstance(error, ImportError):
        return BackendUnavailableError(
            f"plugin {plugin!r} cannot be imported: {told(error)}",
            hint="It may have been written for another version of headrace, or of what it needs."
            if _of_headrace(error)
            else None,
        )
    return BackendProtocolError(f"plugin {plugin!r} failed: {told(error)}")


def _of_headrace(error: ImportError) -> bool:
    """Whether it is headrace that lacks the name: the usual sign of another version."""
    return (error.name or "").partition(".")[0] == "headrace"
