"""``Registry``: which models there are, and what state each is in.

A model is loaded by the first request for it; later ones wait for the same load, which none of
them ends. It leaves when it was idle for long enough, when another one needs its memory, when
somebody asks, or when it has died; never while a request uses it.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import anyio
import anyio.from_thread

import headrace
from headrace.errors import HeadraceError
from headrace_server.errors import ApiError, told
from headrace_server.models.background import Background
from headrace_server.models.changes import Change, Changes
from headrace_server.models.place import Load, Place
from headrace_server.models.room import check_room
from headrace_server.models.served import Served
from headrace_server.models.spec import ModelSpec
from headrace_server.settings import ServerSettings

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange

LOG = logging.getLogger("headrace_server")
LEAVING = 5.0
"""Seconds that the streams of a model which died have to notice it."""


class Registry:
    """The models of a server. For one event loop.

    Args:
        specs: The models; the first one answers requests that name none.
        settings: The server's.
    """

    def __init__(self, specs: Sequence[ModelSpec], settings: ServerSettings) -> None:
        self._settings = settings
        self.places = {spec.name: Place(spec) for spec in specs}
        self.changes = Changes()
        self._background = Background()
        self._loading = anyio.Lock()  # what one load takes, another one's estimate has to see
        self._leaving: set[anyio.Event] = set()

    # -- asking for models --------------------------------------------------

    def place(self, name: str | None) -> Place:
        """The place of a model.

        Raises:
            ApiError: 404 for a name that there is not.
        """
        if name is None or (len(self.places) == 1 and name not in self.places):
            # As other servers of one model do: clients insist on a name, and rarely know it.
            return next(iter(self.places.values()))
        return self.named(name)

    def named(self, name: str) -> Place:
        """The place of a model that is called by its own name.

        Raises:
            ApiError: 404 for a name that there is not.
        """
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
            ApiError: 404 for an unknown name, 503 where the wait for it is over or its load
                failed.
        """
        place = self.place(name)
        exchange.record.model = place.spec.name
        served = None
        with anyio.move_on_after(exchange.time_left):
            served = await self._entered(place)
        if served is None:
            raise ApiError(
                503,
                "model_loading",
                f"{place.spec.name!r} was not loaded within the request's time; ask again later, "
                "or start the server with a larger --request-timeout",
                headers={"retry-after": "10"},
            )
        try:
            yield served
        except BaseException as error:
            self.note_end(served, error)
            raise
        finally:
            served.leave()

    async def loaded(self, place: Place) -> Served:
        """The model of a place, loaded if it is not; nothing keeps it there.

        Raises:
            ApiError: If its load failed.
        """
        served = await self._entered(place)
        served.leave()
        return served

    async def _entered(self, place: Place) -> Served:
        """The model of a place, loaded if it is not, with one user more.

        Raises:
            ApiError: If its load failed; for a while after that, the same without another try.
        """
        if place.served is not None:
            place.served.enter()
            return place.served
        if place.load is None:
            if place.error is not None and anyio.current_time() < place.retry_at:
                raise self._failed(place, place.error)
            self.begin_load(place)
        load = place.load
        assert load is not None, "it was begun"
        load.waiting += 1
        try:
            await load.ended.wait()
        except BaseException:
            if load.served is not None:  # in the very moment in which it was there
                load.served.leave()
            raise
        finally:
            load.waiting -= 1
        if load.served is None:
            assert load.error is not None, "a load brings a model or an error"
            raise self._failed(place, load.error)
        return load.served

    def _failed(self, place: Place, error: Exception) -> ApiError:
        """What is told of a failed load, with when to come again."""
        failure = told(error)
        left = max(1, round(place.retry_at - anyio.current_time() + 0.5))
        return ApiError(
            failure.status,
            failure.code,
            failure.message,
            param=failure.param,
            headers={**failure.headers, "retry-after": str(left)},
            details=failure.details,
        )

    # -- loading ------------------------------------------------------------

    def begin_load(
        self, place: Place, *, first: Callable[[], Awaitable[None]] | None = None
    ) -> Load:
        """Begin to load the model of a place, unless that is under way or done.

        Args:
            place: Whose model.
            first: What has to happen before.
        """
        if place.load is not None:
            return place.load
        load = place.load = Load()
        if place.served is not None:
            place.load = None
            load.progress = 1.0
            load.ended.set()
            return load
        place.error = None
        self._tell(place)
        load.job = self._background.start(lambda: self._load(place, load, first))
        return load

    async def _load(
        self, place: Place, load: Load, first: Callable[[], Awaitable[None]] | None
    ) -> None:
        try:
            if first is not None:
                await first()
            async with self._loading:
                await self._left()
                served = await self._made(place, load)
            place.served, place.asleep = served, False
            load.served = served
            for _ in range(load.waiting):
                served.enter()  # before anybody finds it unused
            if self._settings.idle_unload is not None:
                self._background.start(lambda: self._watch_idleness(place, served))
        except Exception as error:
            if not isinstance(error, (HeadraceError, ApiError)):
                LOG.exception("%s could not be loaded", place.spec.name)
            load.error = error.kept() if isinstance(error, HeadraceError) else error
            place.note_failure(load.error, anyio.current_time())
        except BaseException:
            load.error = headrace.ModelLoadCancelledError(
                f"the load of {place.spec.name!r} was ended", hint="Ask for it again."
            )
            raise
        finally:
            place.load = None
            load.ended.set()
            self._tell(place)

    async def _made(self, place: Place, load: Load) -> Served:
        """The model, once there is room for it."""
        spec = place.spec
        await check_room(spec, self._dismiss_one)
        while True:
            try:
                model = await headrace.aload_model(
                    spec.reference,
                    backend=spec.backend,
                    params=spec.params,
                    engine=spec.engine,
                    options=spec.options,
                    progress=lambda share: self._note_progress(place, load, share),
                )
            except headrace.ModelMemoryError:
                if not await self._dismiss_one():
                    raise
                continue
            served = Served(spec, model, self._settings)
            try:
                await served.prepare()
            except BaseException as error:
                with anyio.CancelScope(shield=True):
                    await served.aclose()
                if isinstance(error, headrace.ModelMemoryError) and await self._dismiss_one():
                    continue
                raise
            return served

    def _note_progress(self, place: Place, load: Load, share: float) -> None:
        """Called in the thread that loads."""
        told_before, load.progress = load.progress, share
        if int(100 * share) > int(100 * told_before):
            with contextlib.suppress(Exception):  # a load goes on, whether or not anyone is told
                anyio.from_thread.run_sync(self._tell, place)

    def _tell(self, place: Place) -> None:
        place.changed_at = time.time()
        self.changes.tell(self.change(place))

    def change(self, place: Place) -> Change:
        """The state of a place as an event."""
        state = place.state
        data: dict[str, object] = {"status": state}
        if place.load is not None:
            data["progress"] = {"value": place.load.progress}
        if state == "failed" and place.error is not None:
            data["error"] = told(place.error).message
        return Change(model=place.spec.name, data=data)

    # -- leaving ------------------------------------------------------------

    async def unload(self, place: Place) -> None:
        """Have a model leave, or end its load.

        Raises:
            ApiError: 409 while requests use it or wait for it.
        """
        load, served = place.load, place.served
        users = load.waiting if load is not None else served.users if served is not None else 0
        if users:
            raise ApiError(
                409,
                "model_in_use",
                f"model: {users} requests use {place.spec.name!r} at the moment; unload it when "
                "they are over",
                param="model",
            )
        if load is not None and load.job is not None:
            load.job.cancel()
            await load.ended.wait()
        elif served is not None:
            await self._dismiss(place, served, asleep=False)
        place.error = None
        place.asleep = False

    async def _dismiss_one(self) -> bool:
        """Have the model leave that nobody uses, for the longest time; False if all are in use."""
        idle = [
            (place.served.used_at, place)
            for place in self.places.values()
            if place.served is not None and not place.served.users
        ]
        if not idle:
            return False
        _, place = min(idle, key=lambda each: each[0])
        served = place.served
        assert served is not None, "it was a moment ago"
        await self._dismiss(place, served, asleep=True)
        return True

    async def _dismiss(self, place: Place, served: Served, *, asleep: bool) -> None:
        """Close a model that nobody uses; a load that begins meanwhile waits for the end."""
        place.served, place.asleep = None, asleep
        self._tell(place)
        await self._close(served)

    async def _close(self, served: Served) -> None:
        gone = anyio.Event()
        self._leaving.add(gone)

        async def close() -> None:
            try:
                with anyio.CancelScope(shield=True):
                    await served.aclose()
            finally:
                self._leaving.discard(gone)
                gone.set()

        self._background.start(close)
        await gone.wait()

    async def _left(self) -> None:
        """Wait until those that leave have given their memory back."""
        while self._leaving:
            await next(iter(self._leaving)).wait()

    async def _watch_idleness(self, place: Place, served: Served) -> None:
        limit = self._settings.idle_unload
        assert limit is not None, "it is watched because of the limit"
        while place.served is served:
            await served.unused()
            idle = anyio.current_time() - served.used_at
            if served.users:
                continue
            if idle >= limit:
                await self._dismiss(place, served, asleep=True)
            else:
                await anyio.sleep(limit - idle)

    # -- dying --------------------------------------------------------------

    def note_end(self, served: Served, error: BaseException) -> None:
        """Look at what a request ended with: a model that has died of it is loaded again.

        Its queue moves to the new one; those who read streams of it have errors of their own.
        """
        place = self.places[served.name]
        if place.served is not served or not _is_death(error):
            return
        LOG.error("%s has died and is loaded again: %s", served.name, error)
        place.served = None
        delay = place.note_death(served, anyio.current_time())
        served.retire()

        async def bury() -> None:
            with anyio.move_on_after(LEAVING):
                await served.unused()
            await self._close(served)
            await anyio.sleep(delay)

        self.begin_load(place, first=bury)

    async def aclose(self) -> None:
        """Close all models, and end all loads."""
        self.changes.close()
        await self._background.aclose()
        for place in self.places.values():
            served, place.served = place.served, None
            if served is not None:
                await served.aclose()


def _is_death(error: BaseException) -> bool:
    """Whether the model is unusable after this error."""
    inner = getattr(error, "exceptions", None)  # of a group
    if inner is not None:
        return any(_is_death(each) for each in inner)
    if isinstance(error, headrace.DecodeError):
        return error.poisoned
    return isinstance(error, headrace.BackendCrashedError)
