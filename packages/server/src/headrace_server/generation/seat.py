"""``Seat``: what a request generates with, and what is seen of its streams while it reads them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import anyio

import headrace
from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace_server.http.exchange import Exchange
    from headrace_server.models.served import Served

_C = TypeVar("_C")
_Co = TypeVar("_Co", covariant=True)


class Stream(Protocol[_Co]):
    """What ``session.agenerate`` and ``session.achat`` give."""

    def __aiter__(self) -> AsyncIterator[_Co]:
        """The chunks."""
        ...

    async def __anext__(self) -> _Co:
        """The next chunk."""
        ...

    def statistics(self) -> headrace.StreamStatistics:
        """What it is doing at the moment."""
        ...

    @property
    def result(self) -> Any:
        """The whole of it, after its end."""
        ...


class Seat:
    """What a request generates with.

    Args:
        served: The model.
        session: A session of it, which knows the beginning if one does.
        exchange: Whose request it is.
        slots: Numbers of the sequences that it has.
    """

    def __init__(
        self,
        served: Served,
        session: headrace.Session,
        exchange: Exchange,
        slots: Sequence[int] = (0,),
    ) -> None:
        self.served = served
        self.session = session
        self.slots = slots
        self._exchange = exchange
        self._readings: list[Watched[Any]] = []
        self._forks: list[headrace.Session] = []

    def watched(self, stream: Stream[_C]) -> Watched[_C]:
        """The chunks of a stream, timed and counted for logs, metrics and the watchdog.

        Read every stream so: ``async for chunk in seat.watched(stream)``.
        """
        reading = Watched(stream, self.served, self._exchange)
        self._readings.append(reading)
        return reading

    async def read(self, stream: Stream[Any]) -> Any:
        """A stream read to its end: its result."""
        async for _ in self.watched(stream):
            pass
        return stream.result

    async def sessions(self, n: int) -> list[headrace.Session]:
        """As many sessions that begin alike: the request's own, and forks that end with it."""
        while len(self._forks) < n - 1:
            self._forks.append(await self.session.afork())
        return [self.session, *self._forks[: n - 1]]

    async def leave(self) -> None:
        """Write down what was read, and close the forks."""
        self._note()
        with anyio.CancelScope(shield=True):
            while self._forks:
                with contextlib.suppress(HeadraceError):  # of a model that has died
                    await self._forks.pop().aclose()

    def _note(self) -> None:
        readings, record = self._readings, self._exchange.record
        if not readings:
            return
        for each in readings:
            each.leave()
        # Several answers of one seat have one prompt, which is computed once.
        record.count(
            prompt=max(each.prompt_tokens for each in readings),
            cached=readings[0].cached_tokens,
            completion=sum(each.tokens for each in readings),
        )
        for each in readings:
            if each.result is not None:
                record.stop_reason = record.stop_reason or each.result.stop_reason.value
                record.time(each.result.timings)


class Watched(Generic[_C]):
    """A stream as one request reads it.

    Args:
        stream: The stream.
        served: The model that writes it.
        exchange: The request that reads it.
    """

    def __init__(self, stream: Stream[_C], served: Served, exchange: Exchange) -> None:
        self._stream = stream
        self._pulse = served.pulse
        self._exchange = exchange
        self._came: float | None = None
        self._over = False
        self.tokens = 0
        """Tokens that were read."""
        self.result: Any = None
        """What the stream has come to, once it is over; None if it failed or was left."""

    def __aiter__(self) -> Watched[_C]:
        return self

    async def __anext__(self) -> _C:
        """The next chunk.

        Raises:
            StopAsyncIteration: At the end.
            HeadraceError: If the generation failed.
        """
        self._pulse.wait(self, self._stream)
        try:
            chunk = await self._stream.__anext__()
        except StopAsyncIteration:
            self._over = True
            self._pulse.beat(self)
            raise
        except BaseException:
            self._pulse.leave(self)
            raise
        self._pulse.beat(self)
        self._note_arrival()
        return chunk

    def _note_arrival(self) -> None:
        now = time.monotonic()
        tokens = self._stream.statistics().delivered_tokens
        new, self.tokens = tokens - self.tokens, tokens
        if new <= 0:
            return
        record = self._exchange.record
        if self._came is not None:
            record.between_tokens.add((now - self._came) / new, new)
        elif record.first_token_seconds is None:
            record.first_token_seconds = now - self._exchange.began
        self._came = now

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, as far as they are known."""
        if self.result is not None:
            return int(self.result.usage.prompt_tokens)
        return getattr(self._stream, "prompt_tokens", None) or 0

    @property
    def cached_tokens(self) -> int:
        """Those of them that were in memory already."""
        return 0 if self.result is None else int(self.result.usage.cached_tokens)

    def leave(self) -> None:
        """Note that nobody reads it any more."""
        self.tokens = max(self.tokens, self._stream.statistics().delivered_tokens)
        if self._over or getattr(self._stream, "ended", False):
            try:
                self.result = self._stream.result
            except HeadraceError:  # its reader was told
                self.result = None
