"""Which backend loads a reference, and what to do where none can."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.backend.backend import Backend
from headrace.common.overdue import told_when_overdue
from headrace.common.quotes import listed, shown, told
from headrace.common.seam import is_callers
from headrace.common.variables import BACKEND_VARIABLE, SELECT_VARIABLE
from headrace.errors import BackendNotFoundError, HeadraceError, ModelNotFoundError
from headrace.loading.downloads.missing import is_gguf, missing_hint

if TYPE_CHECKING:
    from headrace.backend.plugins import Discovery

_NAMED_NONE_IS_ASKED = (
    f"none is asked where one is named with backend=…, --backend or {BACKEND_VARIABLE}"
)
INSTALL_HINT = "Install one: pip install headrace-llamacpp"


def backends() -> dict[str, Backend]:
    """The installed backends by name; ``headrace.backend.plugins.discover()`` tells more."""
    return {each.name: each.backend for each in look().backends}


def look(*, refresh: bool = False) -> Discovery:
    """The plugins as they were found last."""
    # pluggy and importlib.metadata take as long to import as the rest of headrace.
    from headrace.backend.plugins import discover

    return discover(refresh=refresh)


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
    from headrace.backend.plugins import validate_backend

    return validate_backend(backend)


def _named(name: str) -> Backend:
    # A backend may have been installed since the last look.
    found = look().find(name) or look(refresh=True).find(name)
    if found is not None:
        return found
    discovery = look()
    for entry in discovery.quarantine:
        if name in (entry.plugin, entry.error.backend):
            raise BackendNotFoundError(
                f"backend {name!r} is installed but cannot be used: {entry.reason}",
                hint="`headrace backends` tells more.",
                backend=name,
            ) from entry.error
    import difflib  # for whoever made a mistake

    close = difflib.get_close_matches(name, [each.name for each in discovery.backends], n=1)
    raise BackendNotFoundError(
        f"there is no backend {name!r} ({installed(discovery)})",
        hint=_host_hint(name, discovery)
        or (f"Did you mean {close[0]!r}?" if close else INSTALL_HINT),
        backend=name,
    )


def _host_hint(name: str, discovery: Discovery) -> str | None:
    """What to write instead of a host's name, or its plugin's; None if it is no host."""
    for each in discovery.hosts:
        if name in (each.name, each.plugin) or each.distribution == f"headrace-{name}":
            return (
                "That is a host, which runs backends: name the backend that loads the model, or "
                f"none, and pass params=ModelParams(isolation={each.name!r})."
            )
    return None


def _claiming(reference: str) -> Backend:
    """The only installed backend that says it can load the reference."""
    discovery = look()
    claims, failures = _claims(reference, discovery)
    if not claims and (discovery.quarantine or not discovery.backends):
        # What was broken may have been put right since the last look.
        discovery = look(refresh=True)
        claims, failures = _claims(reference, discovery)
    if len(claims) == 1:
        return next(iter(claims.values()))
    if claims:
        raise BackendNotFoundError(
            f"more than one backend can load {reference!r}: {', '.join(claims)}",
            hint=f"Choose one with backend=… or the variable {BACKEND_VARIABLE}.",
        )
    raise unclaimed(reference, discovery, failures)


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


def unclaimed(reference: str, discovery: Discovery, failures: list[str]) -> HeadraceError:
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
    asked = f"{state} ({installed(discovery)})"
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


def installed(discovery: Discovery) -> str:
    """The installed backends in words, and what was left out."""
    names = ", ".join(each.name for each in discovery.backends) or "none"
    return f"installed: {names}{_left_out(discovery)}"


def _left_out(discovery: Discovery) -> str:
    """Which plugins are there and are not used."""
    selection = os.environ.get(SELECT_VARIABLE)
    told = "" if selection is None else f"; {SELECT_VARIABLE} selects {selection!r}"
    kept_out = [f"{each.plugin}: {each.reason}" for each in discovery.quarantine]
    return f"{told}; quarantined: {listed(kept_out)}" if kept_out else told
