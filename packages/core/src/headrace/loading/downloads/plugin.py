"""The resolvers that the core brings, registered by the hook that every plugin uses."""

from __future__ import annotations

from collections.abc import Callable

from headrace.backend.plugins.hookspecs import hookimpl
from headrace.backend.resolver import Resolver
from headrace.loading.downloads.hub import HubResolver
from headrace.loading.downloads.pypi import PyPIResolver


@hookimpl
def headrace_register_resolvers(register: Callable[[Resolver], None]) -> None:
    """``pypi:`` and ``hf:``."""
    register(PyPIResolver())
    register(HubResolver())
