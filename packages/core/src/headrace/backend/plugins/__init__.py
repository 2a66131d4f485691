"""How plugins are found: pluggy hooks behind entry points.

A plugin imports ``hookimpl`` from here and registers its backends, hosts, resolvers, observers
and commands; everything else in this package is for the core and for tools that list plugins.
"""

from headrace.backend.plugins.discovery import Discovery, Quarantined, discover
from headrace.backend.plugins.hookspecs import hookimpl
from headrace.backend.plugins.registration import (
    Installed,
    InstalledBackend,
    InstalledCommand,
    InstalledHost,
    InstalledObserver,
    InstalledResolver,
)
from headrace.backend.plugins.validation import validate_backend

__all__ = [
    "Discovery",
    "Installed",
    "InstalledBackend",
    "InstalledCommand",
    "InstalledHost",
    "InstalledObserver",
    "InstalledResolver",
    "Quarantined",
    "discover",
    "hookimpl",
    "validate_backend",
]
