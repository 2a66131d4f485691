"""Which models there are, loading and unloading them, and what happens to them meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.routing import Route

import headrace
from headrace_server._version import __version__
from headrace_server.endpoints.answering import Answering, described
from headrace_server.errors import told
from headrace_server.http.events import event
from headrace_server.http.exchange import Exchange
from headrace_server.models.place import Place

if TYPE_CHECKING:
    from headrace_server.server import Server


class Status(msgspec.Struct, omit_defaults=True):
    """What state a model is in."""

    value: str
    progress: float | None = None
    failed: bool = False
    message: str | None = None


class Meta(msgspec.Struct):
    """What is known of a loaded model."""

    n_ctx: int | None
    n_ctx_train: int
    n_params: int | None
    n_vocab: int
    size: int | None
    architecture: str
    description: str
    n_sequences: int
    capabilities: list[str]


class Listed(msgspec.Struct):
    """A model, as lists have it."""

    id: str
    created: int
    status: Status
    meta: Meta | None
    object: str = "model"
    owned_by: str = "headrace"


class Listing(msgspec.Struct):
    """All of them."""

    data: list[Listed]
    object: str = "list"


class Named(msgspec.Struct):
    """What names a model."""

    model: str


class Done(msgspec.Struct):
    """That it was done, or is under way."""

    success: bool
    status: Status


class Version(msgspec.Struct):
    """Which versions answer."""

    version: str
    headrace: str
    builds: dict[str, str]


def status(place: Place) -> Status:
    """The state of a place."""
    load, error = place.load, place.error
    failed = place.state == "failed"
    return Status(
        value=place.state,
        progress=None if load is None else load.progress,
        failed=failed,
        message=told(error).message if failed and error is not None else None,
    )


def listed(place: Place) -> Listed:
    """A place as lists have it."""
    served = place.served
    created = place.changed_at if served is None else served.loaded_at
    return Listed(
        id=place.spec.name,
        created=int(created),
        status=status(place),
        meta=None if served is None else _meta(served.model, served.n_ctx, place),
    )


def _meta(model: headrace.Model, n_ctx: int | None, place: Place) -> Meta:
    info = model.info
    return Meta(
        n_ctx=n_ctx,
        n_ctx_train=info.n_ctx_train,
        n_params=info.n_params,
        n_vocab=info.n_vocab,
        size=info.size_bytes,
        architecture=info.architecture,
        description=info.description,
        n_sequences=place.spec.engine.n_sequences,
        capabilities=sorted(each.value for each in model.capabilities),
    )


async def list_models(exchange: Exchange) -> None:
    """``GET /v1/models``, ``GET /models``."""
    places = exchange.server.registry.places.values()
    await exchange.respond(Listing(data=[listed(place) for place in places]))


async def show_model(exchange: Exchange) -> None:
    """``GET /v1/models/{name}``."""
    place = exchange.server.registry.named(exchange.path["name"])
    await exchange.respond(listed(place))


@described(Named)
async def load_model(exchange: Exchange) -> None:
    """``POST /models/load``: begin to load, also one whose last load failed a moment ago."""
    place = await _asked(exchange)
    exchange.server.registry.begin_load(place)
    await exchange.respond(Done(success=True, status=status(place)))


@described(Named)
async def unload_model(exchange: Exchange) -> None:
    """``POST /models/unload``: have a model leave that nobody uses."""
    place = await _asked(exchange)
    await exchange.server.registry.unload(place)
    await exchange.respond(Done(success=True, status=status(place)))


async def _asked(exchange: Exchange) -> Place:
    body = await exchange.body(Named)
    return exchange.server.registry.named(body.model)


async def watch_models(exchange: Exchange) -> None:
    """``GET /models/events``: the state of each model, then every change of one."""
    exchange.is_endless = True
    await exchange.stream(_changes(exchange))


async def _changes(exchange: Exchange) -> AsyncIterator[bytes]:
    registry = exchange.server.registry
    with registry.changes.listening() as changes:
        for place in registry.places.values():
            yield event(registry.change(place))
        async for change in changes:
            yield event(change)


async def version(exchange: Exchange) -> None:
    """``GET /version``."""
    builds: dict[str, str] = {}
    for place in exchange.server.registry.places.values():
        if place.served is not None:
            builds[place.spec.name] = place.served.model.info.build
    await exchange.respond(
        Version(version=__version__, headrace=headrace.__version__, builds=builds)
    )


def routes(server: Server) -> Iterator[Route]:
    """Those of this module."""
    table: list[tuple[str, str, Any]] = [
        ("/v1/models", "GET", list_models),
        ("/models", "GET", list_models),
        ("/models/load", "POST", load_model),
        ("/models/unload", "POST", unload_model),
        ("/models/events", "GET", watch_models),
        ("/models/sse", "GET", watch_models),
        ("/v1/models/{name:path}", "GET", show_model),
        ("/version", "GET", version),
    ]
    for path, method, endpoint in table:
        yield Route(path, Answering(server, endpoint), methods=[method])
