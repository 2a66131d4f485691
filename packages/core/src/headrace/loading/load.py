"""``load_model``: from a reference to a model, through whichever backend can load it.

The parts are those of the way: the arguments are checked, a reference is fetched, a backend is
chosen, and it, or the host that runs it, is called.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from headrace.backend.backend import Backend, LoadRequest
from headrace.common.variables import BACKEND_VARIABLE
from headrace.common.workers import Abandonable, in_worker
from headrace.loading.arguments import checked, checked_options, checked_reference
from headrace.loading.backend_call import Progress, Watched, load_with
from headrace.loading.choose import choose_backend, look, unclaimed
from headrace.loading.resolve import Staged, resolve, resolver_of
from headrace.model import Model
from headrace.params import EngineParams, ModelParams
from headrace.reference import ModelReference
from headrace.streams.observers import follow

log = logging.getLogger("headrace.loading")


def load_model(
    reference: str | os.PathLike[str],
    *,
    backend: str | Backend | None = None,
    params: ModelParams | None = None,
    engine: EngineParams | None = None,
    options: Mapping[str, object] | None = None,
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
        options: What the backend alone understands, such as a key of a service. They are shown
            nowhere, and ``model.reference`` does not have them.
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
        options=checked_options(options, "load_model"),
        progress=None if progress is None else Watched(progress),
    )
    chosen = choose_backend(backend, text)
    follow((f"{each.name} of plugin {each.plugin}", each.observer) for each in look().observers)
    host = None
    if params.isolation is not None:
        from headrace.loading.isolation import host_for

        host = host_for("ModelParams.isolation")
    model = load_with(chosen, request, host)
    installed = look().find(chosen.name)
    note_reference(model, _reference_of(reference, chosen, params, engine, installed=installed))
    return model


async def aload_model(
    reference: str | os.PathLike[str],
    *,
    backend: str | Backend | None = None,
    params: ModelParams | None = None,
    engine: EngineParams | None = None,
    options: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> Model:
    """``load_model`` for a task of asyncio or trio: a worker thread loads.

    Cancelling the task ends the load, and a model that is loaded for nobody any more is closed.
    ``progress`` is called in the worker thread.
    """
    watched = Abandonable(progress)
    return await in_worker(
        lambda: load_model(
            reference,
            backend=backend,
            params=params,
            engine=engine,
            options=options,
            progress=watched,
        ),
        cancel=watched.abandon,
        unwanted=_drop,
    )


def _drop(model: Model) -> None:
    try:
        model.close()
    except Exception:
        log.exception("a model whose load was cancelled could not be closed")


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
    if isinstance(model, Model):
        model._reference = reference
