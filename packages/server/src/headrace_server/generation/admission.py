"""Who may generate now, who waits, and who is told to come later.

The engine refuses nobody; it gets slower. So a server lets as many requests at a model as it has
sequences, keeps a bounded queue in the order of arrival, and refuses beyond.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import anyio
import attrs

from headrace_server.errors import ApiError

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange

MOST_PATIENCE = 60
"""Seconds that a refused request is told to wait at most."""


class RetiredError(Exception):
    """The model has died: its successor has a queue of its own."""


@attrs.define(eq=False)
class _Waiting:
    seats: int
    event: anyio.Event = attrs.field(factory=anyio.Event)
    seated: bool = False


class Admission:
    """The seats of one model. For one event loop.

    Seats are given in the order of arrival: one that needs several is overtaken by nobody.

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
        self._since: dict[object, float] = {}  # when each of those seated sat down
        self._mean_seconds = 1.0
        self._retired = False

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    @property
    def seated(self) -> int:
        """Requests that have seats."""
        return len(self._since)

    @contextlib.asynccontextmanager
    async def seat(self, exchange: Exchange, seats: int = 1) -> AsyncIterator[None]:
        """A seat as long as the block runs.

        Args:
            exchange: Whose request it is; its deadline bounds the wait.
            seats: How many it needs.

        Raises:
            ApiError: 429 if the queue is full or the deadline came; 400 for more seats than there
                are.
            RetiredError: If the model has died.
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
        came = anyio.current_time()
        try:
            await self._taken(exchange, seats)
        finally:
            exchange.record.queue_seconds += anyio.current_time() - came
        # Nothing is awaited from here to the block: no cancelling comes in between.
        token = object()
        self._since[token] = anyio.current_time()
        try:
            yield
        finally:
            lasted = anyio.current_time() - self._since.pop(token)
            self._mean_seconds += 0.2 * (lasted - self._mean_seconds)
            self.taken -= seats
            self._seat_next()

    async def _taken(self, exchange: Exchange, seats: int) -> None:
        if self._retired:
            raise RetiredError
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
        except BaseException:
            if waiting.seated:  # in the very moment in which it was cancelled
                self.taken -= seats
            raise
        finally:
            if not waiting.seated:
                with contextlib.suppress(ValueError):
                    self._queue.remove(waiting)
            self._seat_next()
        if not waiting.seated:
            if self._retired:
                raise RetiredError
            raise self._refusal("the request's time ran out in the queue")

    def _seat_next(self) -> None:
        while self._queue and self.taken + self._queue[0].seats <= self.seats:
            waiting = self._queue.popleft()
            waiting.seated = True
            self.taken += waiting.seats
            waiting.event.set()

    def close(self) -> None:
        """Give no more seats; those who wait are told that the model has died."""
        self._retired = True
        while self._queue:
            self._queue.popleft().event.set()

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
        """Seconds after which those who wait now are likely seated.

        Requests last as long as those before did on average, and those under way at least as long
        as they did so far.
        """
        now = anyio.current_time()
        lasting = [now - since for since in self._since.values()]
        mean = max(self._mean_seconds, sum(lasting) / len(lasting) if lasting else 0.0)
        return max(1, min(MOST_PATIENCE, math.ceil(mean * (self.queued + 1) / self.seats)))
