"""``GET /openapi.json``: made from the routes and from the types that bodies are read into."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.routing import Route

from headrace_server._version import __version__
from headrace_server.endpoints.answering import Answering, Described, described

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange
    from headrace_server.server import Server

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


class ErrorDetails(msgspec.Struct):
    """What went wrong; some errors have more than this."""

    message: str
    type: str
    param: str | None = None
    code: str | int | None = None


class Error(msgspec.Struct):
    """An error, as all interfaces but Anthropic's and llama-server's have it."""

    error: ErrorDetails


def route(server: Server, routes: Sequence[Route]) -> Route:
    """The route of the document, which describes these and itself."""
    made: list[dict[str, Any]] = []

    @described()
    async def show(exchange: Exchange) -> None:
        """What is answered here, as OpenAPI describes it."""
        if not made:
            made.append(document([*routes, own]))
        await exchange.respond(made[0])

    own = Route("/openapi.json", Answering(server, show, public=True), methods=["GET"])
    return own


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """An OpenAPI document: https://spec.openapis.org/oas/v3.1.0.

    Args:
        routes: All that is described; each endpoint is ``Answering``.
    """
    answering = [(each, _of(each)) for each in routes]
    types: list[Any] = [Error]
    for _, endpoint in answering:
        said = endpoint.described
        types += [kind for kind in (said.body, said.answer) if kind is not None]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    by_type = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for each, endpoint in answering:
        path = _PARAMETER.sub(r"{\1}", each.path)
        for method in sorted((each.methods or set()) - {"HEAD"}):
            paths.setdefault(path, {})[method.lower()] = _operation(
                each.path, method, endpoint, by_type
            )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "headrace",
            "version": __version__,
            "description": "Models on this machine, by OpenAI's, Anthropic's and llama-server's "
            "interfaces.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            },
        },
    }


def _of(route: Route) -> Answering:
    found = route.endpoint
    assert isinstance(found, Answering), f"{route.path} is answered by an endpoint"
    return found


def _operation(
    path: str, method: str, endpoint: Answering, schemas: dict[int, Any]
) -> dict[str, Any]:
    described = endpoint.described
    found: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": f"{method.lower()}_{re.sub(r'[^a-z0-9]+', '_', path.lower()).strip('_')}",
        "responses": {"200": _answer(described, schemas), "default": _failure(schemas)},
        "security": [] if endpoint.public else [{"bearer": []}, {"key": []}, {}],
    }
    names = _PARAMETER.findall(path)
    if names:
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ]
    if described.body is not None:
        content = {"application/json": {"schema": schemas[id(described.body)]}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _answer(described: Described, schemas: dict[int, Any]) -> dict[str, Any]:
    schema = {} if described.answer is None else schemas[id(described.answer)]
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if described.events:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {"description": "The answer.", "content": content}


def _failure(schemas: dict[int, Any]) -> dict[str, Any]:
    return {
        "description": "What went wrong.",
        "content": {"application/json": {"schema": schemas[id(Error)]}},
    }
