"""An endpoint as an ASGI application."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from headrace_server.errors import ApiError, openai_body
from headrace_server.http.exchange import Exchange

if TYPE_CHECKING:
    from headrace_server.server import Server

Endpoint = Callable[[Exchange], Awaitable[None]]
_E = TypeVar("_E", bound=Callable[..., Awaitable[None]])


@attrs.frozen
class Described:
    """What an endpoint takes and gives, for ``/openapi.json``."""

    body: Any = None
    """The type that a request's body is read into."""
    answer: Any = None
    """The type that an answer is written from; None: any JSON."""
    events: bool = False
    """Whether an answer may be a stream of events."""


def described(body: Any = None, answer: Any = None, *, events: bool = False) -> Callable[[_E], _E]:
    """Say of an endpoint what it takes and gives.

    Args:
        body: The type that a request's body is read into.
        answer: The type that an answer is written from.
        events: Whether an answer may be a stream of events.
    """

    def describe(endpoint: _E) -> _E:
        endpoint.__described__ = Described(body, answer, events)  # type: ignore[attr-defined]
        return endpoint

    return describe


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
        self._server, self._endpoint = server, endpoint
        self.public = public
        """Whether it needs no key."""
        self._tell, self._tell_event = tell, tell_event

    @property
    def described(self) -> Described:
        """What is said of the endpoint."""
        found: Described = getattr(self._endpoint, "__described__", Described())
        return found

    @property
    def summary(self) -> str:
        """The first sentence of what is said of the endpoint in its docstring."""
        text = inspect.getdoc(self._endpoint) or self._endpoint.__class__.__doc__ or ""
        return text.partition("\n\n")[0].replace("\n", " ")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        exchange = Exchange(self._server, scope, receive, send, self._tell, self._tell_event)
        await exchange.run(self._endpoint if self.public else self._with_key)

    async def _with_key(self, exchange: Exchange) -> None:
        with self._server.keys.admitted(exchange.headers) as key:
            exchange.key = key
            exchange.record.key_name = None if key is None else key.name
            await self._endpoint(exchange)
