"""Resolvers: what turns a reference such as ``pypi:name`` into a file to load.

A plugin registers them with the hook ``headrace_register_resolvers``. A reference
belongs to the resolver of its scheme, the part before the first colon; a scheme
has two characters at least, so that ``C:/model.gguf`` is a path everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import attrs

from headrace.errors import ModelLoadCancelledError


@attrs.frozen(kw_only=True)
class ResolveRequest:
    """What a resolver is asked for."""

    reference: str
    """The whole reference, for messages."""
    target: str
    """What follows the scheme and its colon."""
    progress: Callable[[float], bool | None] | None = None
    """Takes 0.0 … 1.0 of what is fetched; returning False ends it."""

    def report(self, fraction: float) -> None:
        """Tell the progress.

        Raises:
            ModelLoadCancelledError: If the caller wants no more.
        """
        if self.progress is not None and self.progress(min(max(fraction, 0.0), 1.0)) is False:
            raise ModelLoadCancelledError(f"fetching {self.reference!r} was cancelled")


@runtime_checkable
class Resolver(Protocol):
    """Knows one scheme of references."""

    @property
    def scheme(self) -> str:
        """What stands before the colon: two or more lower-case letters, digits, ``+``, ``-``."""
        ...

    @property
    def description(self) -> str:
        """One line for people, with the form of a reference."""
        ...

    def resolve(self, request: ResolveRequest) -> Path:
        """The local file, fetched first if it is not there yet.

        Progress is reported only for what is fetched. A cancelled or failed fetch
        leaves nothing that would be taken for the whole file.

        Raises:
            ParamsError: If the reference is malformed.
            ModelNotFoundError: If there is no such model.
            ModelDownloadError: If it cannot be fetched: no network, no access.
            ModelFormatError: If what was fetched is not what it must be.
            ModelLoadCancelledError: If ``request.report`` raised it.
            UnsupportedError: If a package that is needed for it is not installed.
        """
        ...
