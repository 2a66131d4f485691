"""What was counted, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.routing import Route

from headrace_server.endpoints.answering import Answering
from headrace_server.http.exchange import Exchange
from headrace_server.observation.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from headrace_server.server import Server


async def metrics(exchange: Exchange) -> None:
    """``GET /metrics``."""
    text = await exchange.server.metrics.text()
    await exchange.respond(text, headers={"content-type": CONTENT_TYPE})


def routes(server: Server) -> Iterator[Route]:
    """The one of this module, where the settings have it."""
    if server.settings.metrics:
        yield Route("/metrics", Answering(server, metrics), methods=["GET"])
