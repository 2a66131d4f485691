"""What a backend offers that gives another one a process of its own.

Optional: ``load_model`` looks for it when ``ModelParams.isolation`` asks for a process.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from headrace.protocols.waist import Backend, LoadRequest, Model


@runtime_checkable
class Isolating(Protocol):
    """A backend that runs others."""

    def load_isolated(self, request: LoadRequest, backend: Backend) -> Model:
        """Load a model with another backend in a process of its own.

        Raises:
            BackendCrashedError: If that process dies.
            HeadraceError: What the backend raises there.
        """
        ...
