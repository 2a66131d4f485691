"""The resolvers that the core brings, registered by the hook that every plugin uses."""

from __future__ import annotations

from collections.abc import Callable

from headrace.plugins.hookspecs import hookimpl
from headrace.protocols.references import Resolver
from headrace.references.hub import HubResolver
from headrace.references.pypi import PyPIResolver


@hookimpl
def headrace_register_resolvers(register: Callable[[Resolver], None]) -> None:
    """``pypi:`` and ``hf:``."""
    register(PyPIResolver())
    register(HubResolver())
