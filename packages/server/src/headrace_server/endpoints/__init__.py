"""What is answered: a module for each interface, a function for each endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.routing import Route

from headrace_server.endpoints import (
    chat,
    completions,
    embeddings,
    health,
    messages,
    metrics,
    models,
    native,
    openapi,
    responses,
    tokenizing,
)
from headrace_server.endpoints.answering import Answering

if TYPE_CHECKING:
    from headrace_server.server import Server

__all__ = ["Answering", "routes"]


def routes(server: Server) -> Iterator[Route]:
    """All of them."""
    found = [Route("/health", Answering(server, health.health, public=True), methods=["GET"])]
    for module in (
        chat,
        completions,
        embeddings,
        tokenizing,
        native,
        responses,
        messages,
        models,
        metrics,
    ):
        found += module.routes(server)
    yield from found
    yield openapi.route(server, found)
