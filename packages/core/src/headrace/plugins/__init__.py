"""How plugins are found: pluggy hooks behind entry points.

A plugin imports ``hookimpl`` from here and registers its backends, resolvers and
observers; everything else in this package is for the core and for tools that list plugins.
"""

from headrace.plugins.discovery import Discovery, Quarantined, discover
from headrace.plugins.hookspecs import hookimpl
from headrace.plugins.registering import (
    Installed,
    InstalledBackend,
    InstalledObserver,
    InstalledResolver,
)
from headrace.plugins.validation import validate_backend

__all__ = [
    "Discovery",
    "Installed",
    "InstalledBackend",
    "InstalledObserver",
    "InstalledResolver",
    "Quarantined",
    "discover",
    "hookimpl",
    "validate_backend",
]
