"""Who may generate now, who waits, and who is told to come later.

The engine refuses nobody; it gets slower. So a server lets as many requests at a model as it has
sequences, keeps a bounded queue in the order of arrival, and refuses beyond.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import anyio
import attrs

from headrace_server.errors import ApiError

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange


@attrs.define(eq=False)
class _Waiting:
    seats: int
    event: anyio.Event = attrs.field(factory=anyio.Event)
    seated: bool = False


class Admission:
    """The seats of one model. For one event loop.

    Args:
        seats: Sequences that may generate at the same time.
        max_queue: Requests that may wait.
    """

    def __init__(self, seats: int, max_queue: int) -> None:
        self.seats = seats
        self.max_queue = max_queue
        self.taken = 0
        """Seats in use."""
        self._queue: deque[_Waiting] = deque()
        self._mean_seconds = 1.0

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    @contextlib.asynccontextmanager
    async def seat(self, exchange: Exchange, seats: int = 1) -> AsyncIterator[None]:
        """A seat as long as the block runs.

        Args:
            exchange: Whose request it is; its deadline bounds the wait.
            seats: How many it needs.

        Raises:
            ApiError: 429 if the queue is full or the deadline came; 400 for more seats than there
                are.
        """
        if seats > self.seats:
            raise ApiError(
                400,
                "invalid_value",
                f"n: {seats} answers at once are more than the {self.seats} sequences that this "
                "model was loaded with; ask for fewer, or start the server with a larger "
                "--n-sequences",
                param="n",
            )
        came = time.monotonic()
        await self._taken(exchange, seats)
        seated = time.monotonic()
        exchange.record.queue_seconds = seated - came
        try:
            yield
        finally:
            self.taken -= seats
            self._mean_seconds += 0.2 * (time.monotonic() - seated - self._mean_seconds)
            self._seat_next()

    async def _taken(self, exchange: Exchange, seats: int) -> None:
        if not self._queue and self.taken + seats <= self.seats:
            self.taken += seats
            return
        if len(self._queue) >= self.max_queue:
            raise self._refusal("the queue is full")
        waiting = _Waiting(seats)
        self._queue.append(waiting)
        try:
            with anyio.move_on_after(exchange.time_left):
                await waiting.event.wait()
            if not waiting.seated:
                raise self._refusal("the request's time ran out in the queue")
        except BaseException:
            if waiting.seated:  # in the very moment in which it was cancelled
                self.taken -= seats
            raise
        finally:
            if not waiting.seated:
                with contextlib.suppress(ValueError):
                    self._queue.remove(waiting)
            self._seat_next()

    def _seat_next(self) -> None:
        while self._queue and self.taken + self._queue[0].seats <= self.seats:
            waiting = self._queue.popleft()
            waiting.seated = True
            self.taken += waiting.seats
            waiting.event.set()

    def _refusal(self, why: str) -> ApiError:
        seconds = self.retry_after()
        return ApiError(
            429,
            "overloaded",
            f"{why}: {self.taken} of {self.seats} sequences are at work and {self.queued} of at "
            f"most {self.max_queue} requests wait; try again in {seconds} seconds",
            headers={"retry-after": str(seconds)},
        )

    def retry_after(self) -> int:
        """Seconds after which a place in the queue is likely free."""
        return max(1, min(60, math.ceil(self._mean_seconds * (self.queued + 1) / self.seats)))
