"""What a plugin hands to headrace: a ``Backend``, which loads models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import attrs

from headrace.model import Model
from headrace.params import EngineParams, ModelParams
from headrace.results import Capability

PROTOCOL_VERSION = 2
"""Version of both tiers; a plugin whose backend names another one is quarantined."""


@attrs.frozen(kw_only=True)
class LoadRequest:
    """What ``load_model`` hands to a backend, all of it validated."""

    reference: str
    """A path, or whatever else the backend's ``can_load`` accepts."""
    params: ModelParams
    engine: EngineParams
    progress: Callable[[float], bool | None] | None = None
    """Called with 0.0 … 1.0 while loading; returning False ends the load, and so does raising."""
    options: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    """The backend's own, such as an address and a key of a service. The backend checks them, and
    shows no value in a message or a log; neither does headrace."""


@runtime_checkable
class Backend(Protocol):
    """A plugin that can load models."""

    name: str
    """What callers write in ``backend=…``: lower-case letters, digits, ``-`` and ``_``."""
    protocol_version: int
    """The version it was written for, as a number: ``PROTOCOL_VERSION`` would always fit."""
    version: str
    """Version of the backend."""

    def can_load(self, reference: str) -> bool:
        """Whether the reference looks like this backend's: its magic is read, no more.

        Must not import native code and must not raise for a missing file.
        """
        ...

    def load(self, request: LoadRequest) -> Model:
        """Load a model.

        Raises:
            ModelError: One of its subclasses.
            BackendUnavailableError: If something the backend needs cannot be imported.
        """
        ...

    def capabilities(self) -> frozenset[Capability]:
        """What models of this backend can do at best, without importing native code."""
        ...
