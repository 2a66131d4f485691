"""Whether the server is alive."""

from __future__ import annotations

from headrace_server.http.exchange import Exchange


async def health(exchange: Exchange) -> None:
    """``GET /health``."""
    await exchange.respond({"status": "ok"})
