"""``Registry``: which models there are, and what state each is in.

A model is loaded by the first request for it; later ones wait for the same load. It leaves when it
was idle for long enough, when somebody asks, or when it has died; never while a request uses it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import anyio
import attrs

import headrace
from headrace_server.errors import ApiError
from headrace_server.models.adapters import Adapters
from headrace_server.models.served import Served
from headrace_server.models.spec import ModelSpec
from headrace_server.settings import ServerSettings

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange


@attrs.define(eq=False)
class Place:
    """A model's name, and what stands behind it at the moment."""

    spec: ModelSpec
    served: Served | None = None
    loading: anyio.Event | None = None
    """Set when the load that is under way has ended."""
    progress: float = 0.0
    """Of that load, from 0 to 1."""
    failure: headrace.HeadraceError | None = None
    """Why the last load failed."""

    @property
    def state(self) -> str:
        """``unloaded``, ``loading``, ``loaded`` or ``failed``."""
        if self.loading is not None:
            return "loading"
        if self.served is not None:
            return "loaded"
        return "unloaded" if self.failure is None else "failed"


class Registry:
    """The models of a server. For one event loop.

    Args:
        specs: The models; the first one answers requests that name none.
        settings: The server's.
    """

    def __init__(self, specs: Sequence[ModelSpec], settings: ServerSettings) -> None:
        self._settings = settings
        self.places = {spec.name: Place(spec) for spec in specs}

    def place(self, name: str | None) -> Place:
        """The place of a model.

        Raises:
            ApiError: 404 for a name that there is not.
        """
        if name is None or (len(self.places) == 1 and name not in self.places):
            # As other servers of one model do: clients insist on a name, and rarely know it.
            return next(iter(self.places.values()))
        found = self.places.get(name)
        if found is None:
            known = ", ".join(self.places)
            raise ApiError(
                404,
                "model_not_found",
                f"model: there is no {name!r:.80} here; the models are: {known}",
                param="model",
            )
        return found

    @contextlib.asynccontextmanager
    async def use(self, name: str | None, exchange: Exchange) -> AsyncIterator[Served]:
        """A loaded model, which stays as long as the block runs.

        Raises:
            ApiError: 404 for an unknown name, 503 where the wait for it is over.
            HeadraceError: If it cannot be loaded.
        """
        place = self.place(name)
        exchange.record.model = place.spec.name
        served = None
        with anyio.move_on_after(exchange.time_left):
            served = await self.loaded(place)
        if served is None:
            raise ApiError(
                503,
                "model_loading",
                f"{place.spec.name!r} was not loaded within the request's time",
                headers={"retry-after": "10"},
            )
        served.users += 1
        try:
            yield served
        finally:
            served.users -= 1
            served.used_at = time.monotonic()

    async def loaded(self, place: Place) -> Served:
        """The model of a place, loaded if it is not."""
        while place.served is None:
            if place.loading is not None:
                await place.loading.wait()
                if place.failure is not None:
                    raise place.failure
                continue
            await self._load(place)
        return place.served

    async def _load(self, place: Place) -> None:
        place.loading, place.progress, place.failure = anyio.Event(), 0.0, None
        spec = place.spec

        def progress(share: float) -> None:
            place.progress = share

        try:
            model = await headrace.aload_model(
                spec.reference,
                backend=spec.backend,
                params=spec.params,
                engine=spec.engine,
                options=spec.options,
                progress=progress,
            )
            try:
                place.served = await self._prepared(Served(spec, model, self._settings))
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await model.aclose()
                raise
        except headrace.HeadraceError as error:
            place.failure = error
            raise
        finally:
            place.loading.set()
            place.loading = None

    async def _prepared(self, served: Served) -> Served:
        """What belongs to a model that was loaded: its adapters, what it is asked with."""
        spec, model = served.spec, served.model
        loaded = [(await model.aload_adapter(path), scale) for path, scale in spec.adapters]
        if loaded:
            served.adapters = Adapters(loaded)
            await served.conversations.use(served.adapters.current)
        if spec.sampling is not None:
            served.recommended = spec.sampling
        else:
            with contextlib.suppress(headrace.HeadraceError):
                served.recommended = await model.arecommended_sampling()
        return served

    async def aclose(self) -> None:
        """Close all models."""
        for place in self.places.values():
            served, place.served = place.served, None
            if served is not None:
                await served.aclose()
