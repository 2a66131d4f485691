"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

if TYPE_CHECKING:
    from headrace_server.settings import ServerSettings

_encoder = msgspec.json.Encoder()
DONE = b"data: [DONE]\n\n"
"""What ends a stream of OpenAI's interface."""


def event(value: Any, name: str | None = None) -> bytes:
    """An event with a JSON value; its name, where the interface names events."""
    data = b"data: " + _encoder.encode(value) + b"\n\n"
    return data if name is None else b"event: " + name.encode() + b"\n" + data


def comment(text: str) -> bytes:
    """A line that clients pass over."""
    return f": {text}\n\n".encode()


class EventWriter:
    """Sends events to one client, and a comment where none comes for a while.

    A client that takes nothing for ``write_timeout`` seconds is given up.
    """

    def __init__(
        self, send: Callable[[dict[str, Any]], Awaitable[None]], settings: ServerSettings
    ) -> None:
        self._send = send
        self._settings = settings
        self._sent = time.monotonic()
        self._lock = anyio.Lock()
        self.finished = False
        """Whether the last byte was sent."""

    async def send(self, data: bytes) -> None:
        """Send an event.

        Raises:
            GoneError: If the client takes nothing any more.
        """
        from headrace_server.http.exchange import GoneError

        async with self._lock:
            with anyio.move_on_after(self._settings.write_timeout) as scope:
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
            if scope.cancelled_caught:
                raise GoneError
            self._sent = time.monotonic()

    async def finish(self) -> None:
        """Send the end."""
        if not self.finished:
            self.finished = True
            await self._send({"type": "http.response.body", "body": b""})

    async def ping(self) -> None:
        """Send comments into silences, until cancelled.

        Raises:
            GoneError: If the client takes nothing any more.
        """
        interval = self._settings.ping_interval
        while not self.finished:
            silent = time.monotonic() - self._sent
            if silent >= interval:
                await self.send(comment("ping"))
            else:
                await anyio.sleep(interval - silent)
