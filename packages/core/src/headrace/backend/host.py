"""Hosts: what loads with a backend somewhere else than in this process.

A plugin registers them with the hook ``headrace_register_hosts``. ``ModelParams.isolation`` asks
the one named ``process``, which gives each model a child process. A host chooses nothing: which
backend loads is decided here, before it is asked.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from headrace.backend.backend import Backend, LoadRequest
from headrace.model import Model


@runtime_checkable
class Host(Protocol):
    """Loads with any backend, elsewhere."""

    name: str
    """What it is asked for by: lower-case letters, digits, ``-`` and ``_``."""
    protocol_version: int
    """The version it was written for, as a number, as for a ``Backend``."""
    version: str
    """Version of the host."""

    def load(self, request: LoadRequest, backend: Backend) -> Model:
        """Load a model with a backend of that name where the host has its place.

        Must import native code there alone.

        Raises:
            BackendCrashedError: If what runs there ends.
            BackendUnavailableError: If something the host needs cannot be imported.
            HeadraceError: What the backend raises there.
        """
        ...
