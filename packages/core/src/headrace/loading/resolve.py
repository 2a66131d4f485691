"""Model references: from ``scheme:name`` to a local file, through the resolver of the scheme.

A reference is a string whose scheme has a resolver; everything else, and every
``Path``, is left to the backends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.backend.resolver import Resolver, ResolveRequest
from headrace.common.quotes import shown, told
from headrace.common.seam import is_callers
from headrace.common.workers import Abandonable, in_worker
from headrace.errors import (
    BackendProtocolError,
    HeadraceError,
    ModelError,
    ModelNotFoundError,
    ParamsError,
)
from headrace.requests.checks import check_path

if TYPE_CHECKING:
    from headrace.backend.plugins import Discovery


FETCH_SHARE = 0.9
"""Share of a progress that belongs to fetching what is then loaded."""
Progress = Callable[[float], "bool | None"]


def fetch_model(reference: str, *, progress: Progress | None = None) -> Path:
    """The local file of a reference such as ``hf:org/repo/model.gguf``.

    It is fetched if it is not there yet; ``load_model`` does this by itself.

    Args:
        reference: ``scheme:name``; ``headrace backends`` lists the schemes.
        progress: Called with 0.0 … 1.0 of what is fetched; returning False ends it.

    Raises:
        ParamsError: If it is no reference, or a malformed one.
        ModelNotFoundError: If there is no such model.
        ModelDownloadError: If it cannot be fetched: no network, no access.
        ModelFormatError: If what was fetched is not what it must be.
        ModelLoadCancelledError: If ``progress`` returned False.
        UnsupportedError: If a package that is needed for it is not installed.
    """
    text = check_path("fetch_model's reference", reference)
    resolver = resolver_of(reference)
    if resolver is None:
        known = ", ".join(f"{each.name}:" for each in _discovery().resolvers)
        raise ParamsError(
            f"fetch_model's reference must begin with the scheme of a resolver, got {text!r}",
            hint=f"Known schemes: {known}",
        )
    return resolve(resolver, text, progress)


async def afetch_model(reference: str, *, progress: Progress | None = None) -> Path:
    """``fetch_model`` for a task of asyncio or trio; cancelling the task ends it.

    ``progress`` is called in a worker thread.
    """
    watched = Abandonable(progress)
    return await in_worker(lambda: fetch_model(reference, progress=watched), cancel=watched.abandon)


def resolver_of(reference: str | os.PathLike[str]) -> Resolver | None:
    """The resolver of a reference; None for a path or what only a backend knows."""
    from headrace.backend.plugins.validation import SCHEME

    if not isinstance(reference, str):
        return None
    scheme, colon, _ = reference.partition(":")
    if not colon or not SCHEME.fullmatch(scheme):
        return None
    return _discovery().resolver(scheme)


def resolve(resolver: Resolver, reference: str, progress: Progress | None) -> Path:
    """Have a resolver do its work; what it does wrong becomes a typed error.

    Raises:
        HeadraceError: See ``fetch_model``.
    """
    raised: list[BaseException] = []

    def watched(fraction: float) -> bool | None:
        try:
            return None if progress is None else progress(fraction)
        except BaseException as error:
            raised.append(error)  # the caller's own: no resolver is to blame
            raise

    target = reference.partition(":")[2]
    request = ResolveRequest(reference=reference, target=target, progress=watched)
    try:
        found = resolver.resolve(request)
    except HeadraceError:
        raise
    except BaseException as error:
        if any(error is each for each in raised) or is_callers(error):
            raise
        raise ModelError(
            f"resolver {resolver.scheme!r} failed to fetch {reference!r}: {told(error)}"
        ) from error
    if not isinstance(found, os.PathLike):
        raise BackendProtocolError(
            f"resolver {resolver.scheme!r} returned {shown(found)}, which is no path"
        )
    path = Path(os.fsdecode(found))
    if not os.path.exists(path):
        raise ModelNotFoundError(
            f"resolver {resolver.scheme!r} says that {reference!r} is {str(path)!r}, "
            "where there is nothing"
        )
    return path


class Staged:
    """One progress for fetching and loading.

    A fetch takes most of it; where nothing was fetched, the load has all of it.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._fetched = 0.0

    def fetch(self, fraction: float) -> bool | None:
        """Progress of the fetch."""
        self._fetched = max(self._fetched, FETCH_SHARE * fraction)
        return self._progress(self._fetched)

    def load(self, fraction: float) -> bool | None:
        """Progress of the load after it."""
        return self._progress(self._fetched + (1 - self._fetched) * fraction)


def _discovery() -> Discovery:
    # pluggy and importlib.metadata take as long to import as the rest of headrace.
    from headrace.backend.plugins import discover

    return discover()
