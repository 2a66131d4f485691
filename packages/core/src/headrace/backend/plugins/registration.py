"""Runs the hooks of one plugin, and says what each hook's things must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from headrace.backend.plugins import hookspecs
from headrace.backend.plugins.validation import (
    validate_backend,
    validate_command,
    validate_host,
    validate_resolver,
)
from headrace.errors import BackendProtocolError, ParamsError, UsageError
from headrace.streams.observers import check_observer

if TYPE_CHECKING:
    from headrace.backend.backend import Backend
    from headrace.backend.commands import Command
    from headrace.backend.host import Host
    from headrace.backend.resolver import Resolver


@attrs.frozen
class Installed:
    """Something of a plugin that passed every check, and where it came from."""

    name: str
    """Its name: a backend's as in ``backend=…``, a host's, a resolver's scheme, an observer's
    class, a command's."""
    plugin: str
    """Name of the entry point that brought it."""
    distribution: str | None
    """Distribution that declares the entry point; None if its metadata is damaged."""
    distribution_version: str | None
    """Version of that distribution."""


@attrs.frozen
class InstalledBackend(Installed):
    """A backend."""

    backend: Backend


@attrs.frozen
class InstalledHost(Installed):
    """A host, which loads with backends elsewhere."""

    host: Host


@attrs.frozen
class InstalledResolver(Installed):
    """A resolver of references."""

    resolver: Resolver


@attrs.frozen
class InstalledObserver(Installed):
    """An observer of generations."""

    observer: object


@attrs.frozen
class InstalledCommand(Installed):
    """A command of the command line."""

    command: Command


@attrs.frozen
class Kind:
    """What one hook collects."""

    hook: str
    noun: str
    name_of: Callable[[Any, str | None], str]
    """Checks the object, and says its name; is told the distribution, for the remedy."""
    make: Callable[..., Installed]
    unique: bool = True
    """Whether a name can be there only once."""


def _observer_name(candidate: object, distribution: str | None) -> str:
    try:
        check_observer(candidate)
    except ParamsError as error:
        raise BackendProtocolError(error.message) from error
    return type(candidate).__qualname__


BACKENDS = Kind(
    "headrace_register_backends",
    "backend",
    lambda it, distribution: validate_backend(it, distribution).name,
    InstalledBackend,
)
HOSTS = Kind(
    "headrace_register_hosts",
    "host",
    lambda it, distribution: validate_host(it, distribution).name,
    InstalledHost,
)
RESOLVERS = Kind(
    "headrace_register_resolvers",
    "resolver",
    lambda it, distribution: validate_resolver(it).scheme,
    InstalledResolver,
)
OBSERVERS = Kind(
    "headrace_register_observers", "observer", _observer_name, InstalledObserver, unique=False
)
COMMANDS = Kind(
    "headrace_register_commands",
    "command",
    lambda it, distribution: validate_command(it).name,
    InstalledCommand,
)
_KINDS = (BACKENDS, HOSTS, RESOLVERS, OBSERVERS, COMMANDS)


def registered_by(plugin: object, name: str) -> list[tuple[Kind, object]]:
    """Run the hooks of one plugin, alone.

    Raises:
        BackendProtocolError: If it implements none.
        Exception: What its hooks raise, and pluggy for a hook that is none of headrace's.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name=name)
    manager.check_pending()
    callers = [(kind, getattr(manager.hook, kind.hook)) for kind in _KINDS]
    if not any(caller.get_hookimpls() for _, caller in callers):
        raise BackendProtocolError(
            f"plugin {name!r} implements no hook",
            hint="Mark headrace_register_backends(register), or another of "
            "headrace.backend.plugins.hookspecs, with headrace.protocols.hookimpl.",
        )
    found: list[tuple[Kind, object]] = []
    for kind, caller in callers:
        register = _Register()
        caller(register=register)
        found += [(kind, each) for each in register.close()]
    return found


class _Register:
    """What a hook is handed. It must not be kept: what came later would be lost in silence."""

    def __init__(self) -> None:
        self._found: list[object] | None = []

    def __call__(self, candidate: object) -> None:
        if self._found is None:
            raise UsageError("a plugin registers what it brings while its hook runs, not later")
        self._found.append(candidate)

    def close(self) -> list[object]:
        found, self._found = self._found or [], None
        return found
