"""What is answered: a module for each interface, a function for each endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.routing import Route

from headrace_server.endpoints import chat, health, messages, models, native, responses
from headrace_server.endpoints.answering import Answering

if TYPE_CHECKING:
    from headrace_server.server import Server

__all__ = ["Answering", "routes"]


def routes(server: Server) -> Iterator[Route]:
    """All of them."""
    yield Route("/health", Answering(server, health.health, public=True), methods=["GET"])
    yield from chat.routes(server)
    yield from native.routes(server)
    yield from responses.routes(server)
    yield from messages.routes(server)
    yield from models.routes(server)
