"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from headrace_server.errors import GoneError

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


BUFFER = 256_000
"""Bytes that may wait for a client that reads more slowly than a model writes."""


class EventWriter:
    """Sends events to one client, and a comment where none comes for a while.

    What a client has not taken yet waits here, up to a limit, so that an answer ends, and gives
    its sequence back, when it is written and not when it is read. A client that takes nothing for
    ``write_timeout`` seconds is given up.
    """

    def __init__(
        self, send: Callable[[dict[str, Any]], Awaitable[None]], settings: ServerSettings
    ) -> None:
        self._send = send
        self._settings = settings
        self._sent = time.monotonic()
        self._since: float | None = None  # when what is being sent was begun with
        self._waiting: list[bytes] = []
        self._size = 0
        self._ending = False
        self._come = anyio.Event()
        self._room = anyio.Event()
        self._over = anyio.Event()
        self.finished = False
        """Whether the last byte was sent, or is about to be."""

    async def send(self, data: bytes) -> None:
        """Have an event sent; nothing once the end was said. Waits if too much waits already."""
        while self._size >= BUFFER and not self._ending:
            if self._room.is_set():
                self._room = anyio.Event()
            await self._room.wait()
        if not self._ending:
            self._waiting.append(data)
            self._size += len(data)
            self._come.set()

    def finish(self) -> None:
        """Say that this is the end; it is sent behind what waits."""
        self._ending = True
        self._come.set()

    async def over(self) -> None:
        """Wait until the last byte was sent."""
        await self._over.wait()

    async def write(self, start: dict[str, Any]) -> None:
        """Send the headers, and then what comes, until the end."""
        await self._sending(start)
        while True:
            if self._waiting:
                data, self._waiting = b"".join(self._waiting), []
                self._size = 0
                await self._sending({"type": "http.response.body", "body": data, "more_body": True})
                self._room.set()
            elif self._ending:
                self.finished = True
                await self._sending({"type": "http.response.body", "body": b""})
                self._over.set()
                return
            else:
                self._come = anyio.Event()
                await self._come.wait()

    async def _sending(self, message: dict[str, Any]) -> None:
        self._since = time.monotonic()
        await self._send(message)
        self._sent, self._since = time.monotonic(), None

    async def watch(self) -> None:
        """Send comments into silences, until cancelled.

        Raises:
            GoneError: If the client takes nothing any more.
        """
        interval, patience = self._settings.ping_interval, self._settings.write_timeout
        while not self._over.is_set():
            now = time.monotonic()
            if self._since is not None:
                left = self._since + patience - now
                if left <= 0:
                    raise GoneError
            else:
                left = self._sent + interval - now
                if left <= 0:
                    await self.send(comment("ping"))
                    left = interval
            # What is sent from now on has its whole time.
            await anyio.sleep(min(left, interval, patience))
