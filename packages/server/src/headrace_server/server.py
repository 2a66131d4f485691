"""``Server``: what all endpoints share."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from headrace_server.access.keys import Keys
from headrace_server.generation.seat import Seat
from headrace_server.models.registry import Registry
from headrace_server.settings import ServerSettings

if TYPE_CHECKING:
    import headrace
    from headrace_server.generation.conversations import Key
    from headrace_server.http.exchange import Exchange
    from headrace_server.http.record import Record
    from headrace_server.models.spec import ModelSpec
    from headrace_server.settings import ApiKey

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
        self.keys = Keys(settings.api_keys)

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
        async with (
            self.registry.use(model, exchange) as served,
            served.admission.seat(exchange, seats),
            served.conversations.session(key, params) as session,
        ):
            seat = Seat(served, session, exchange, served.take_slots(exchange, seats))
            try:
                yield seat
            finally:
                served.leave_slots(seat.slots)
                await seat.leave()

    def note(self, record: Record, key: ApiKey | None) -> None:
        """Take down a request that is over."""
        if self.settings.access_log:
            LOG.info("request", extra={"record": record})

    def note_failure(self, record: Record, error: BaseException) -> None:
        """Take down what was the server's own fault, with its traceback."""
        LOG.error("request %s failed", record.request_id, exc_info=error)

    async def aclose(self) -> None:
        """End everything."""
        await self.registry.aclose()
