"""The one hook a plugin implements.

In the style of a collector: a plugin is handed ``register`` and calls it for
each backend it brings, so that one plugin can bring several or, on a machine
it does not support, none.
"""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from headrace.protocols import Backend

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
