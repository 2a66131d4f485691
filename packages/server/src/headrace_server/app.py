"""``create_app``: the server as an ASGI application."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import attrs
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from headrace.errors import UsageError
from headrace_server import endpoints, page
from headrace_server.access.sites import Sites
from headrace_server.errors import ApiError, openai_body
from headrace_server.models.spec import ModelSpec, default_name
from headrace_server.server import Server
from headrace_server.settings import ServerSettings

_IMPORTED_EARLY = (
    "headrace.engine.chat",
    "headrace.engine.checked_parser",
    "headrace.engine.infill",
    "headrace.engine.vectors",
    "headrace.requests.conversation",
    "headrace.streams.chat",
    "headrace.streams.continued",
    "headrace.streams.plain_text",
    "headrace.streams.prompted",
)
"""What sessions import when they are first asked: else the first requests would do it all at once,
in threads that wait for each other's half-made modules."""


def create_app(
    models: str | ModelSpec | Mapping[str, str] | Iterable[ModelSpec],
    settings: ServerSettings | None = None,
    **changes: Any,
) -> Starlette:
    """An application that answers for these models; mount it anywhere.

    Where it is mounted, the outer application has to run its lifespan; by itself it does so.

    Args:
        models: A reference, several by name, or ``ModelSpec`` values.
        settings: How it is to behave.
        **changes: Fields of ``ServerSettings`` that differ from ``settings``.

    Raises:
        ParamsError: For a value outside its range.
        UsageError: For no model, or two of one name.
    """
    for module in _IMPORTED_EARLY:
        importlib.import_module(module)
    server = Server(specs_of(models), attrs.evolve(settings or ServerSettings(), **changes))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await server.aclose()

    routes: list[BaseRoute] = list(endpoints.routes(server))
    if server.settings.page:
        routes += page.routes()
    sites = Middleware(Sites, settings=server.settings)
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[sites],
        exception_handlers={HTTPException: _told},
    )
    app.state.server = server
    return app


def _told(request: Request, error: Exception) -> Response:
    """No such path, or another method: told like all else."""
    assert isinstance(error, HTTPException), "that is what it handles"
    code = "not_found" if error.status_code == 404 else "method_not_allowed"
    failure = ApiError(
        error.status_code,
        code,
        f"{request.method} {request.url.path:.200}: {error.detail}; see GET /openapi.json",
    )
    return JSONResponse(openai_body(failure), error.status_code, error.headers)


def specs_of(
    models: str | ModelSpec | Mapping[str, str] | Iterable[ModelSpec],
) -> Sequence[ModelSpec]:
    """What ``create_app`` takes, as specifications.

    Raises:
        UsageError: For none, or two of one name.
    """
    if isinstance(models, str):
        found = [ModelSpec(name=default_name(models), reference=models)]
    elif isinstance(models, ModelSpec):
        found = [models]
    elif isinstance(models, Mapping):
        found = [ModelSpec(name=name, reference=each) for name, each in models.items()]
    else:
        found = list(models)
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not found or twice:
        what = f"two models are called {twice[0]!r}" if twice else "there is no model to serve"
        raise UsageError(what, hint="Write NAME=REFERENCE for each, with different names.")
    return found
