"""The end of a server: nothing new begins, what is under way may finish for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import anyio

from headrace_server.errors import ApiError

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange

_RETRY_SECONDS = 5


class Ending:
    """What is under way at a server, and how it ends. For one event loop."""

    def __init__(self) -> None:
        self.begun = False
        """Whether the server ends: no request begins any more."""
        self._under_way: set[Exchange] = set()
        self._done: anyio.Event | None = None

    def __len__(self) -> int:
        return len(self._under_way)

    @contextlib.contextmanager
    def waits_for(self, exchange: Exchange) -> Iterator[None]:
        """Count a request among what is under way as long as the block runs.

        Raises:
            ApiError: 503 once the server ends.
        """
        if self.begun:
            raise _refusal()
        self._under_way.add(exchange)
        try:
            yield
        finally:
            self._under_way.discard(exchange)
            if self._done is not None and not self._under_way:
                self._done.set()

    async def finish(self, grace: float) -> None:
        """Let nothing begin, and return when nothing is under way any more.

        What goes on until somebody ends it is ended at once, everything else after the grace: with
        an error, which is an event where a stream has begun.

        Args:
            grace: Seconds.
        """
        self.begun = True
        for exchange in tuple(self._under_way):
            if exchange.is_endless:
                exchange.fail(_refusal())
        if self._under_way:
            self._done = anyio.Event()
            with anyio.move_on_after(grace):
                await self._done.wait()
        for exchange in tuple(self._under_way):
            exchange.fail(_refusal())
        if self._under_way and self._done is not None:
            await self._done.wait()


def _refusal() -> ApiError:
    return ApiError(
        503,
        "server_ending",
        "the server is ending; try again when it is there again",
        headers={"retry-after": str(_RETRY_SECONDS)},
    )
