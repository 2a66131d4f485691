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
        self._since: float | None = None  # when what is being sent was begun with
        self._lock = anyio.Lock(fast_acquire=True)
        self.finished = False
        """Whether the last byte was sent."""

    async def begin(self, start: dict[str, Any]) -> None:
        """Send the headers."""
        async with self._lock:
            await self._send(start)

    async def send(self, data: bytes) -> None:
        """Send an event; nothing once the end was sent."""
        async with self._lock:
            if self.finished:
                return
            self._since = time.monotonic()
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            self._sent, self._since = time.monotonic(), None

    async def finish(self) -> None:
        """Send the end."""
        async with self._lock:
            if not self.finished:
                self.finished = True
                self._since = time.monotonic()
                await self._send({"type": "http.response.body", "body": b""})
                self._since = None

    async def watch(self) -> None:
        """Send comments into silences, until cancelled.

        Raises:
            GoneError: If the client takes nothing any more.
        """
        from headrace_server.http.exchange import GoneError

        interval, patience = self._settings.ping_interval, self._settings.write_timeout
        while True:
            now = time.monotonic()
            if self._since is not None:
                left = self._since + patience - now
                if left <= 0:
                    raise GoneError
            elif self.finished:
                return
            else:
                left = self._sent + interval - now
                if left <= 0:
                    await self._ping()
                    continue
            # What is sent from now on has its whole time.
            await anyio.sleep(min(left, interval, patience))

    async def _ping(self) -> None:
        """Send a comment; a client that takes nothing is seen to by the next turn."""
        with anyio.move_on_after(self._settings.write_timeout) as scope:
            await self.send(comment("ping"))
        if scope.cancelled_caught:
            from headrace_server.http.exchange import GoneError

            raise GoneError
