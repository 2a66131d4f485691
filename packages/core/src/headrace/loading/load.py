"""``load_model``: from a reference to a model, through whichever backend can load it.

The only place where a backend is chosen and called. What a backend does wrong
in ``load`` ends here as a ``BackendError`` that names it; what the caller's
own progress function raises passes through untouched.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from headrace.backend.abilities import Isolating
from headrace.backend.backend import Backend, LoadRequest
from headrace.bases import ModelBase
from headrace.common.quotes import shown, told
from headrace.common.seam import is_callers
from headrace.common.variables import BACKEND_VARIABLE
from headrace.common.workers import Abandonable, in_worker
from headrace.errors import (
    BackendError,
    BackendNotFoundError,
    BackendProtocolError,
    BackendUnavailableError,
    HeadraceError,
    ParamsError,
)
from headrace.loading.choose import choose_backend, installed, look, unclaimed
from headrace.loading.resolve import Staged, resolve, resolver_of
from headrace.model import Model
from headrace.params import EngineParams, ModelParams
from headrace.reference import Loader, ModelReference, loaders
from headrace.requests.checks import check_path
from headrace.streams.observers import follow

if TYPE_CHECKING:
    pass

log = logging.getLogger("headrace.loading")

_T = TypeVar("_T")
Progress = Callable[[float], "bool | None"]


def load_model(
    reference: str | os.PathLike[str],
    *,
    backend: str | Backend | None = None,
    params: ModelParams | None = None,
    engine: EngineParams | None = None,
    progress: Progress | None = None,
) -> Model:
    """Load a model.

    Args:
        reference: Path of a model file; a string such as ``hf:org/repo/model.gguf``, which is
            fetched first; or what else the backend understands.
        backend: Name of an installed backend, or a backend object. None: the one
            that ``HEADRACE_BACKEND`` names, else the only one that can load the reference.
        params: What is loaded and where.
        engine: What the sessions of the model will share.
        progress: Called with 0.0 … 1.0 while loading; returning False ends the load.

    Returns:
        The model; close it, or use it in a ``with`` statement.

    Raises:
        ParamsError: If an argument is not what it must be.
        BackendNotFoundError: If no backend fits, or more than one.
        BackendUnavailableError: If the backend cannot be imported on this machine.
        BackendError: If the backend failed in a way it should not.
        ModelNotFoundError: If there is no file at the reference.
        ModelDownloadError: If a model that has to be fetched cannot be.
        ModelFormatError: If the file is not a model, or a damaged one.
        ModelLoadError: If the native library refuses the model.
        ModelLoadCancelledError: If ``progress`` returned False.
        ModelMemoryError: If there is not enough memory.
    """
    checked_reference(reference, "load_model")
    params = checked("params", params, ModelParams, "load_model")
    engine = checked("engine", engine, EngineParams, "load_model")
    text, progress = located(reference, backend, progress)
    request = LoadRequest(
        reference=text,
        params=params,
        engine=engine,
        progress=None if progress is None else _Watched(progress),
    )
    chosen = choose_backend(backend, text)
    follow((f"{each.name} of plugin {each.plugin}", each.observer) for each in look().observers)
    isolated = request.params.isolation is not None
    model = load_with(_Isolated(chosen, _isolating_backend()) if isolated else chosen, request)
    installed = look().find(chosen.name)
    note_reference(model, _reference_of(reference, chosen, params, engine, installed=installed))
    return model


async def aload_model(
    reference: str | os.PathLike[str],
    *,
    backend: str | Backend | None = None,
    params: ModelParams | None = None,
    engine: EngineParams | None = None,
    progress: Progress | None = None,
) -> Model:
    """``load_model`` for a task of asyncio or trio: a worker thread loads.

    Cancelling the task ends the load, and a model that is loaded for nobody any more is closed.
    ``progress`` is called in the worker thread.
    """
    watched = Abandonable(progress)
    return await in_worker(
        lambda: load_model(
            reference, backend=backend, params=params, engine=engine, progress=watched
        ),
        cancel=watched.abandon,
        unwanted=_drop,
    )


def _drop(model: Model) -> None:
    try:
        model.close()
    except Exception:
        log.exception("a model whose load was cancelled could not be closed")


def checked_reference(reference: object, caller: str) -> str:
    """A reference as text, or a ``ParamsError`` that names the function it was given to."""
    return check_path(f"{caller}'s reference", reference)


def checked(name: str, value: object, kind: type[_T], caller: str) -> _T:
    """An argument, or the default of its class; a ``ParamsError`` if it is something else."""
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise ParamsError(f"{caller}'s {name} must be {kind.__name__}, got {value!r}")
    return value


def located(
    reference: str | os.PathLike[str],
    backend: str | Backend | None,
    progress: Progress | None = None,
) -> tuple[str, Progress | None]:
    """What backends are asked for: a reference with a resolver is fetched first.

    Returns:
        The reference or the path, and the progress function of what comes after.

    Raises:
        BackendNotFoundError: If there is no backend, or none of that name.
        HeadraceError: See ``headrace.fetch_model``.
    """
    text = os.fsdecode(reference)
    resolver = resolver_of(reference)
    if resolver is None:
        return text, progress
    # Before much is downloaded for nobody.
    name = backend or os.environ.get(BACKEND_VARIABLE)
    if name:
        choose_backend(name, text)
    elif not look().backends:
        raise unclaimed(text, look(), [])
    staged = None if progress is None else Staged(progress)
    path = resolve(resolver, text, None if staged is None else staged.fetch)
    return str(path), None if staged is None else staged.load


def _isolating_backend() -> Isolating:
    """The installed backend that gives another one a process of its own.

    Raises:
        BackendNotFoundError: If there is none.
    """
    for entry in look().backends:
        if isinstance(entry.backend, Isolating):
            return entry.backend
    raise BackendNotFoundError(
        "ModelParams.isolation needs a backend that runs others in a process of their own "
        f"({installed(look())})",
        hint="Install it: pip install headrace-subprocess",
    )


class _Isolated:
    """A backend whose models live in processes of their own."""

    def __init__(self, backend: Backend, isolating: Isolating) -> None:
        self.name = backend.name
        self._backend = backend
        self._isolating = isolating

    def load(self, request: LoadRequest) -> Model:
        return self._isolating.load_isolated(request, self._backend)


class _Watched:
    """Remembers what the caller's progress function raised: no backend is to blame for it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.error: BaseException | None = None

    def __call__(self, fraction: float) -> bool | None:
        try:
            return self._progress(fraction)
        except BaseException as error:
            self.error = error
            raise


def load_with(backend: Backend | _Isolated, request: LoadRequest) -> Model:
    """Have a backend load, and see to it that what it does wrong ends as an error.

    Raises:
        HeadraceError: What ``load_model`` raises.
    """
    name = backend.name
    try:
        model = backend.load(request)
    except HeadraceError:
        raise
    except BaseException as error:  # sys.exit() and the panics of other languages, too
        if isinstance(request.progress, _Watched) and request.progress.error is error:
            raise
        if is_callers(error):
            raise
        kind = BackendUnavailableError if isinstance(error, ImportError) else BackendError
        raise kind(
            f"backend {name!r} failed to load {request.reference!r}: {told(error, most=2000)}",
            backend=name,
        ) from error
    if not isinstance(model, Model):
        raise BackendProtocolError(
            f"backend {name!r} returned {shown(model)}, which is no model", backend=name
        )
    return model


def _reference_of(
    reference: str | os.PathLike[str],
    backend: Backend,
    params: ModelParams,
    engine: EngineParams,
    *,
    installed: Backend | None,
) -> ModelReference:
    """What a model was loaded from, as a value.

    Args:
        reference: What the caller named.
        backend: What loaded it.
        params: What was loaded and where.
        engine: What the sessions share.
        installed: The installed backend of that name, if there is one.
    """
    text = os.fsdecode(reference)
    # A relative path means another file after a change of directory.
    is_path = resolver_of(text) is None and os.path.exists(text)
    return ModelReference(
        os.path.abspath(text) if is_path else text,
        backend=backend.name if backend is installed else backend,
        params=params,
        engine=engine,
    )


def note_reference(model: Model, reference: ModelReference) -> None:
    """Have a model know what it was loaded from; one that inherits nothing of ours need not."""
    if isinstance(model, ModelBase):
        model._reference = reference


loaders.append(Loader(load_model, aload_model))
