"""``load_model``: from a reference to a model, through whichever backend can load it.

The only place where a backend is chosen and called. What a backend does wrong
in ``load`` ends here as a ``BackendError`` that names it; what the caller's
own progress function raises passes through untouched.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from headrace.errors import (
    BackendError,
    BackendNotFoundError,
    BackendProtocolError,
    BackendUnavailableError,
    HeadraceError,
    ModelNotFoundError,
    ParamsError,
)
from headrace.observing import follow
from headrace.overdue import told_when_overdue
from headrace.params import EngineParams, ModelParams
from headrace.prompts import check_path
from headrace.protocols import Backend, LoadRequest, Model
from headrace.protocols.isolation import Isolating
from headrace.quoting import listed, shown, told
from headrace.references import Staged, resolve, resolver_of
from headrace.references.missing import is_gguf, missing_hint
from headrace.reloading import ModelReference, note_reference
from headrace.seam import is_callers
from headrace.workers import Abandonable, in_worker

if TYPE_CHECKING:
    from headrace.plugins import Discovery

BACKEND_VARIABLE = "HEADRACE_BACKEND"
SELECT_VARIABLE = "HEADRACE_PLUGINS"
_NAMED_NONE_IS_ASKED = (
    f"none is asked where one is named with backend=…, --backend or {BACKEND_VARIABLE}"
)
INSTALL_HINT = "Install one: pip install headrace-llamacpp"

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
    follow(_discover().observers)
    isolated = request.params.isolation is not None
    model = load_with(_Isolated(chosen, _isolating_backend()) if isolated else chosen, request)
    installed = _discover().find(chosen.name)
    note_reference(model, ModelReference.of(reference, chosen, params, engine, installed=installed))
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


def backends() -> dict[str, Backend]:
    """The installed backends by name; ``headrace.plugins.discover()`` tells more."""
    return {each.name: each.backend for each in _discover().backends}


def _discover(*, refresh: bool = False) -> Discovery:
    # pluggy and importlib.metadata take as long to import as the rest of headrace.
    from headrace.plugins import discover

    return discover(refresh=refresh)


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
    elif not _discover().backends:
        raise _unclaimed(text, _discover(), [])
    staged = None if progress is None else Staged(progress)
    path = resolve(resolver, text, None if staged is None else staged.fetch)
    return str(path), None if staged is None else staged.load


def choose_backend(backend: str | Backend | None, reference: str) -> Backend:
    """The backend that was named, or the only one that can load the reference.

    Raises:
        BackendNotFoundError: If no backend fits, or more than one.
        ModelNotFoundError: If none was named and there is no file at the reference.
    """
    if backend is None:
        backend = os.environ.get(BACKEND_VARIABLE) or None
    if backend is None:
        return _claiming(reference)
    if isinstance(backend, str):
        return _named(backend)
    from headrace.plugins import validate_backend

    return validate_backend(backend)


def _named(name: str) -> Backend:
    # A backend may have been installed since the last look.
    found = _discover().find(name) or _discover(refresh=True).find(name)
    if found is not None:
        return found
    discovery = _discover()
    for entry in discovery.quarantine:
        if name in (entry.plugin, entry.error.backend):
            raise BackendNotFoundError(
                f"backend {name!r} is installed but cannot be used: {entry.reason}",
                hint="`headrace backends` tells more.",
                backend=name,
            ) from entry.error
    close = difflib.get_close_matches(name, [each.name for each in discovery.backends], n=1)
    raise BackendNotFoundError(
        f"there is no backend {name!r} ({_installed(discovery)})",
        hint=f"Did you mean {close[0]!r}?" if close else INSTALL_HINT,
        backend=name,
    )


def _claiming(reference: str) -> Backend:
    """The only installed backend that says it can load the reference."""
    discovery = _discover()
    claims, failures = _claims(reference, discovery)
    if not claims and (discovery.quarantine or not discovery.backends):
        # What was broken may have been put right since the last look.
        discovery = _discover(refresh=True)
        claims, failures = _claims(reference, discovery)
    if len(claims) == 1:
        return next(iter(claims.values()))
    if claims:
        raise BackendNotFoundError(
            f"more than one backend can load {reference!r}: {', '.join(claims)}",
            hint=f"Choose one with backend=… or the variable {BACKEND_VARIABLE}.",
        )
    raise _unclaimed(reference, discovery, failures)


def _claims(reference: str, discovery: Discovery) -> tuple[dict[str, Backend], list[str]]:
    """The backends that say they can load the reference, and what others raised."""
    claims: dict[str, Backend] = {}
    failures: list[str] = []
    for entry in discovery.backends:
        what = f"backend {entry.name!r} to say whether it can load {shown(reference)}"
        try:
            with told_when_overdue(what, _NAMED_NONE_IS_ASKED):
                if entry.backend.can_load(reference):
                    claims[entry.name] = entry.backend
        except BaseException as error:  # one backend's mistake must not hide the others
            if is_callers(error):
                raise
            failures.append(f"{entry.name}: {told(error)}")
    return claims, failures


def _unclaimed(reference: str, discovery: Discovery, failures: list[str]) -> HeadraceError:
    """Why nothing can load the reference: no backend, no file, or the wrong kind of file."""
    if not discovery.backends:
        return BackendNotFoundError(
            f"no backend is installed that could load {reference!r}" + _left_out(discovery),
            hint=INSTALL_HINT,
        )
    state = _state_of(reference)
    if state is None:
        fake = reference.startswith("fake:")
        return ModelNotFoundError(
            f"there is no model file at {reference!r}",
            hint="References that begin with 'fake:' need headrace-fake."
            if fake
            else missing_hint(reference),
        )
    asked = f"{state} ({_installed(discovery)})"
    if failures:
        asked += f"; failed when asked: {listed(failures)}"
    return BackendNotFoundError(
        f"no installed backend can load {reference!r}{asked}",
        hint=_directory_hint(Path(reference))
        or _backend_hint(reference, discovery)
        or "Name a backend to learn its reasons, or install one that knows this kind of model.",
    )


def _backend_hint(reference: str, discovery: Discovery) -> str | None:
    """The backend that a GGUF file needs: what whoever begins is most likely to lack."""
    if not is_gguf(reference):
        return None
    if any("llamacpp" in each.plugin for each in discovery.quarantine):
        return "It is a GGUF file, for headrace-llamacpp: `headrace backends` tells more of it."
    if os.environ.get("HEADRACE_PLUGINS"):
        return (
            "It is a GGUF file, for headrace-llamacpp, and HEADRACE_PLUGINS leaves plugins out; "
            "if it is not installed: pip install headrace-llamacpp"
        )
    return "It is a GGUF file: pip install headrace-llamacpp"


def _directory_hint(path: Path) -> str | None:
    """What to name instead of a directory, where its files tell; None if it is none."""
    try:
        names = sorted(each.name for each in path.iterdir()) if path.is_dir() else []
    except OSError:
        return None
    models = [name for name in names if name.lower().endswith(".gguf")]
    if models:
        return f"Name a file in it: {', '.join(models[:5])}."
    if any(name.endswith((".safetensors", ".bin", ".pt")) for name in names):
        return (
            "It looks like a checkpoint for training frameworks, such as those on Hugging Face. "
            "The installed backends take a single file: look for a GGUF file of the model, or "
            "convert it with llama.cpp's convert_hf_to_gguf.py."
        )
    return None


def _state_of(reference: str) -> str | None:
    """What speaks against a path, in words; None if there is nothing at it."""
    path = Path(reference)
    try:
        if path.is_dir():
            return ", a directory"
        if path.exists() and not path.is_file():
            return ", which is no regular file"
        return ", an empty file" if path.stat().st_size == 0 else ""
    except PermissionError:
        return ", which this user may not read"
    except (OSError, ValueError):
        return None


def _installed(discovery: Discovery) -> str:
    names = ", ".join(each.name for each in discovery.backends) or "none"
    return f"installed: {names}{_left_out(discovery)}"


def _left_out(discovery: Discovery) -> str:
    """Which plugins are there and are not used."""
    selection = os.environ.get(SELECT_VARIABLE)
    told = "" if selection is None else f"; {SELECT_VARIABLE} selects {selection!r}"
    kept_out = [f"{each.plugin}: {each.reason}" for each in discovery.quarantine]
    return f"{told}; quarantined: {listed(kept_out)}" if kept_out else told


def _isolating_backend() -> Isolating:
    """The installed backend that gives another one a process of its own.

    Raises:
        BackendNotFoundError: If there is none.
    """
    for entry in _discover().backends:
        if isinstance(entry.backend, Isolating):
            return entry.backend
    raise BackendNotFoundError(
        "ModelParams.isolation needs a backend that runs others in a process of their own "
        f"({_installed(_discover())})",
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
