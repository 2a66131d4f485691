"""``Server``: what all endpoints share."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from headrace.errors import BackendCrashedError
from headrace_server.access.keys import Keys
from headrace_server.ending import Ending
from headrace_server.errors import ApiError
from headrace_server.generation.admission import RetiredError
from headrace_server.generation.seat import Seat
from headrace_server.models.registry import Registry
from headrace_server.observation.metrics import Metrics
from headrace_server.settings import ServerSettings

if TYPE_CHECKING:
    import headrace
    from headrace_server.generation.conversations import Key
    from headrace_server.http.exchange import Exchange
    from headrace_server.http.record import Record
    from headrace_server.models.spec import ModelSpec
    from headrace_server.observation.tracing import Tracing
    from headrace_server.settings import ApiKey

TRIES = 3
"""Models that a request waits for, if they die before it has begun."""
LOG = logging.getLogger("headrace_server")


class Server:
    """The state of one server.

    Args:
        specs: Its models.
        settings: How it is to behave.
    """

    def __init__(self, specs: Sequence[ModelSpec], settings: ServerSettings) -> None:
        self.settings = settings
        self.registry = Registry(specs, settings)
        self.metrics = Metrics(self.registry)
        self.tracing = _tracing() if settings.tracing else None
        self.keys = Keys(settings.api_keys)
        self.ending = Ending()

    @contextlib.asynccontextmanager
    async def seat(
        self,
        exchange: Exchange,
        model: str | None,
        key: Key,
        *,
        params: headrace.SessionParams | None = None,
        seats: int = 1,
    ) -> AsyncIterator[Seat]:
        """A loaded model, a place among its sequences and a session, in this order.

        Args:
            exchange: Whose request it is.
            model: The name in the request; None: the first model.
            key: What the session's history will begin with; see ``Conversations``.
            params: Settings of the session.
            seats: Sequences that the request needs.
        """
        async with contextlib.AsyncExitStack() as entered:
            seat = await self._seated(entered, exchange, model, key, params, seats)
            try:
                yield seat
            finally:
                seat.served.leave_slots(seat.slots)
                await seat.leave()

    async def _seated(
        self,
        entered: contextlib.AsyncExitStack,
        exchange: Exchange,
        model: str | None,
        key: Key,
        params: headrace.SessionParams | None,
        seats: int,
    ) -> Seat:
        """A seat at the model, or at its successor if it dies before there was one."""
        for tries_left in reversed(range(TRIES)):
            async with contextlib.AsyncExitStack() as trying:
                served = await trying.enter_async_context(self.registry.use(model, exchange))
                try:
                    await served.check_alive()
                    await trying.enter_async_context(served.admission.seat(exchange, seats))
                    session = await trying.enter_async_context(
                        served.conversations.session(key, params)
                    )
                except RetiredError:
                    continue
                except BackendCrashedError as error:
                    if not tries_left:
                        raise
                    self.registry.note_end(served, error)
                    continue  # nothing was begun; the next one is waited for, with its back-off
                entered.push_async_exit(trying.pop_all())
                return Seat(served, session, exchange, served.take_slots(exchange, seats))
        raise ApiError(
            503,
            "model_crashed",
            "the model died again and again while the request waited; ask again later",
            headers={"retry-after": "10"},
        )

    def note(self, record: Record, key: ApiKey | None) -> None:
        """Take down a request that is over."""
        self.metrics.note(record)
        if self.tracing is not None:
            self.tracing.note(record)
        if self.settings.access_log:
            LOG.info("request", extra={"record": record})

    def note_failure(self, record: Record, error: BaseException) -> None:
        """Take down what was the server's own fault, with its traceback."""
        LOG.error("request %s failed", record.request_id, exc_info=error)

    async def aclose(self) -> None:
        """End everything."""
        await self.registry.aclose()


def _tracing() -> Tracing:
    from headrace_server.observation.tracing import Tracing

    return Tracing()
