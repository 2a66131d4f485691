"""How backends are found: a pluggy hook behind the entry-point group ``headrace.backends``.

A plugin imports ``hookimpl`` from here and registers its backends; everything
else in this package is for the core and for tools that list plugins.
"""

from headrace.plugins.discovery import Discovery, InstalledBackend, Quarantined, discover
from headrace.plugins.hookspecs import hookimpl
from headrace.plugins.validation import validate_backend

__all__ = [
    "Discovery",
    "InstalledBackend",
    "Quarantined",
    "discover",
    "hookimpl",
    "validate_backend",
]
