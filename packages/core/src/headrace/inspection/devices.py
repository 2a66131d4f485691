"""Questions to backends that load nothing: which devices there are, whether a model would fit."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs

from headrace.backend.abilities import EstimatesMemory, ListsDevices, TellsBuild
from headrace.backend.backend import Backend, LoadRequest
from headrace.common.quotes import shown
from headrace.common.seam import Seam
from headrace.common.workers import in_worker, let_go
from headrace.errors import HeadraceError, UnsupportedError
from headrace.loading.arguments import checked, checked_reference
from headrace.loading.choose import backends, choose_backend
from headrace.loading.load import located
from headrace.params import EngineParams, ModelParams
from headrace.results.machine import Device, MemoryEstimate

if TYPE_CHECKING:
    from headrace.backend.plugins import InstalledBackend


@attrs.frozen
class Survey:
    """What the backends answered about their devices."""

    devices: tuple[Device, ...]
    failures: dict[str, HeadraceError]
    """For each backend that could not answer, why."""


def devices(*, backend: str | Backend | None = None) -> tuple[Device, ...]:
    """The devices that models can be loaded on.

    Args:
        backend: Name of an installed backend, or a backend object; None: all that are installed
            and know their devices.

    Raises:
        BackendNotFoundError: If there is no backend of that name.
        BackendUnavailableError: If the backend that was named cannot be imported on this machine.
        UnsupportedError: If the backend that was named does not know its devices.
    """
    if backend is None:
        return survey(backends().values()).devices
    chosen = choose_backend(backend, "")
    if not isinstance(chosen, ListsDevices):
        raise UnsupportedError(
            f"backend {chosen.name!r} does not list devices", backend=chosen.name
        )
    return _devices_of(chosen, chosen.name)


def survey(candidates: Iterable[Backend]) -> Survey:
    """The devices of several backends; one that fails does not hide the others."""
    found: list[Device] = []
    failures: dict[str, HeadraceError] = {}
    for each in candidates:
        try:
            found += _devices_of(each, each.name)
        except HeadraceError as error:
            failures[each.name] = error
    return Survey(tuple(found), failures)


def _devices_of(backend: Backend, name: str) -> tuple[Device, ...]:
    """What a backend lists; nothing where it knows none."""
    seam = Seam(name)
    found: tuple[Any, ...] = ()
    with seam.during("devices"):
        if isinstance(backend, ListsDevices):
            found = tuple(backend.devices())
    wrong = [each for each in found if not isinstance(each, Device)]
    if wrong:
        raise seam.breach("devices", f"{shown(wrong[0])} instead of a Device")
    return found


def library_of(entry: InstalledBackend) -> str:
    """Which native library a backend has, or why it has none; empty where it does not tell."""
    try:
        with Seam(entry.name).during("build"):
            return str(entry.backend.build()) if isinstance(entry.backend, TellsBuild) else ""
    except HeadraceError as error:
        return f"none: {error}"


def estimate_memory(
    reference: str | os.PathLike[str],
    *,
    backend: str | Backend | None = None,
    params: ModelParams | None = None,
    engine: EngineParams | None = None,
) -> MemoryEstimate:
    """What a model and one context of it will need, without loading its weights.

    Args:
        reference: As for ``load_model``.
        backend: As for ``load_model``.
        params: What would be loaded and where.
        engine: What its sessions would share.

    Raises:
        ParamsError: If an argument is not what it must be.
        BackendError: As for ``load_model``.
        ModelError: What ``load_model`` would raise for the same file.
        UnsupportedError: If the backend cannot tell, or the model opens no session.
    """
    checked_reference(reference, "estimate_memory")
    text, _ = located(reference, backend)
    request = LoadRequest(
        reference=text,
        params=checked("params", params, ModelParams, "estimate_memory"),
        engine=checked("engine", engine, EngineParams, "estimate_memory"),
    )
    if request.params.rpc_servers:
        raise UnsupportedError(
            "estimate_memory does not know the memory of ModelParams.rpc_servers",
            hint="Leave them out to learn what the model needs in all.",
        )
    chosen = choose_backend(backend, text)
    if not isinstance(chosen, EstimatesMemory):
        raise UnsupportedError(
            f"backend {chosen.name!r} does not estimate memory", backend=chosen.name
        )
    with Seam(chosen.name).during("estimate"):
        found = chosen.estimate(request)
    if not isinstance(found, MemoryEstimate):
        raise Seam(chosen.name).breach("estimate", f"{found!r:.60} instead of a MemoryEstimate")
    return found


async def aestimate_memory(
    reference: str | os.PathLike[str],
    *,
    backend: str | Backend | None = None,
    params: ModelParams | None = None,
    engine: EngineParams | None = None,
) -> MemoryEstimate:
    """``estimate_memory`` for a task of asyncio or trio."""
    return await in_worker(
        lambda: estimate_memory(reference, backend=backend, params=params, engine=engine),
        cancel=let_go,
    )
