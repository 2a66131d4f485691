"""An endpoint as an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from headrace_server.errors import ApiError, openai_body
from headrace_server.http.exchange import Exchange

if TYPE_CHECKING:
    from headrace_server.server import Server

Endpoint = Callable[[Exchange], Awaitable[None]]


class Answering:
    """An endpoint as an ASGI application.

    Args:
        server: Whose it is.
        endpoint: What answers.
        tell: Makes the body of an error.
        tell_event: Makes the event of an error after the headers.
        public: Whether it needs no key.
    """

    def __init__(
        self,
        server: Server,
        endpoint: Endpoint,
        *,
        tell: Callable[[ApiError], Any] = openai_body,
        tell_event: Callable[[ApiError], bytes] | None = None,
        public: bool = False,
    ) -> None:
        self._server, self._endpoint, self._public = server, endpoint, public
        self._tell, self._tell_event = tell, tell_event

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        exchange = Exchange(self._server, scope, receive, send, self._tell, self._tell_event)
        await exchange.run(self._endpoint if self._public else self._with_key)

    async def _with_key(self, exchange: Exchange) -> None:
        with self._server.keys.admitted(exchange.headers) as key:
            exchange.key = key
            exchange.record.key_name = None if key is None else key.name
            await self._endpoint(exchange)
