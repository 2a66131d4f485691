"""The hooks that a plugin may implement, one or several of them.

In the style of a collector: a plugin is handed ``register`` and calls it for
each thing it brings, so that one plugin can bring several or, on a machine
it does not support, none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pluggy

from headrace.backend.backend import Backend

if TYPE_CHECKING:
    from headrace.backend.commands import Command
    from headrace.backend.host import Host
    from headrace.backend.resolver import Resolver
    from headrace.streams.observers import Observer

PROJECT = "headrace"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's implementation of a hook."""


@hookspec
def headrace_register_backends(register: Callable[[Backend], None]) -> None:
    """Call ``register(backend)`` for each backend; import no native code.

    Args:
        register: Takes a backend object, not its class.
    """


@hookspec
def headrace_register_hosts(register: Callable[[Host], None]) -> None:
    """Call ``register(host)`` for each host, which loads with any backend elsewhere.

    Args:
        register: Takes an object as ``headrace.backend.host`` describes it.
    """


@hookspec
def headrace_register_resolvers(register: Callable[[Resolver], None]) -> None:
    """Call ``register(resolver)`` for each scheme of references, such as ``hf``.

    Args:
        register: Takes an object as ``headrace.backend.resolver`` describes it.
    """


@hookspec
def headrace_register_observers(register: Callable[[Observer], None]) -> None:
    """Call ``register(observer)`` for each observer; it is told of every generation.

    Args:
        register: Takes an object with methods of ``headrace.Observer``.
    """


@hookspec
def headrace_register_commands(register: Callable[[Command], None]) -> None:
    """Call ``register(command)`` for each command of ``headrace``; import no command yet.

    Args:
        register: Takes a ``headrace.protocols.Command``, whose function ``load`` imports the
            ``click`` command when it is run. A name of headrace's own commands is refused.
    """
