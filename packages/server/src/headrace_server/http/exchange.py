"""``Exchange``: one request and its response.

An endpoint is a coroutine function that is handed an exchange. While it runs, a watcher waits for
the client to go away, in the queue as in a prefill, and then cancels it: that is how streams end
and sequences become free. What it raises becomes a response as long as none has begun, and an
event after.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import msgspec

from headrace_server.errors import ApiError, GoneError, openai_body, told
from headrace_server.http import bodies
from headrace_server.http.events import EventWriter, comment
from headrace_server.http.record import Record

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from headrace_server.server import Server
    from headrace_server.settings import ApiKey

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_T = TypeVar("_T")
Tell = Callable[[ApiError], Any]
"""Makes the body of an error, in the words of one interface."""

_encoder = msgspec.json.Encoder()


class Exchange:
    """One request and its response.

    Args:
        server: Whose it is.
        scope: ASGI's.
        receive: ASGI's.
        send: ASGI's.
        tell: Makes the body of an error.
        tell_event: Makes the event of an error after the headers, whole; None: like a body.
    """

    def __init__(
        self,
        server: Server,
        scope: Scope,
        receive: Receive,
        send: Send,
        tell: Tell = openai_body,
        tell_event: Callable[[ApiError], bytes] | None = None,
    ) -> None:
        self.server = server
        self.scope = scope
        self._receive, self._send = receive, send
        self._tell = tell
        self.tell_event = tell_event
        """Makes the event of an error after the headers; an endpoint may put its own here."""
        self.began = time.monotonic()
        self.headers: dict[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        self.record = Record(
            method=scope["method"],
            path=scope["path"],
            traceparent=self.headers.get("traceparent"),
        )
        self.key: ApiKey | None = None
        self.names: Mapping[str, str] = {}
        """Fields that this interface calls otherwise than headrace does, for its errors."""
        self._body: bytes | None = None
        self._body_read = anyio.Event()
        self._group: TaskGroup | None = None
        self._writer: EventWriter | None = None
        self._responded = False
        self.is_endless = False
        """Whether it goes on until somebody ends it, as events of a server's state do."""
        self._endpoint_scope: anyio.CancelScope | None = None
        self._failure: ApiError | None = None

    # -- the request --------------------------------------------------------

    @property
    def path(self) -> Mapping[str, str]:
        """What the route found in the path."""
        found: Mapping[str, str] = self.scope.get("path_params", {})
        return found

    @property
    def time_left(self) -> float | None:
        """Seconds until the request's deadline; None: there is none."""
        limit = self.server.settings.request_timeout
        return None if limit is None else max(0.0, self.began + limit - time.monotonic())

    async def body(self, kind: type[_T]) -> _T:
        """The body as a value of a class.

        Raises:
            ApiError: For a body that is too large, too slow, no JSON, or has a wrong field.
        """
        await self.read_body()
        return bodies.decoded(self._body or b"", self.headers.get("content-type"), kind)

    async def read_body(self) -> bytes:
        """The body as it came; it is read once, before the watcher waits for the client's end.

        Raises:
            ApiError: For one that is too large or too slow.
        """
        if self._body is None:
            self._body = await bodies.received(self._receive, self.headers, self.server.settings)
            self._body_read.set()
            if self.server.settings.log_prompts:
                self.record.prompt = self._body.decode("utf-8", "replace")
        return self._body

    # -- the response -------------------------------------------------------

    async def respond(
        self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with JSON, or with bytes as they are."""
        if isinstance(value, bytes):
            body, content_type = value, "text/plain; charset=utf-8"
        else:
            body, content_type = _encoder.encode(value), "application/json"
        self._responded = True
        self.record.status = status
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": self._header_lines(
                    {
                        "content-type": content_type,
                        "content-length": str(len(body)),
                        **(headers or {}),
                    }
                ),
            }
        )
        await self._send({"type": "http.response.body", "body": body})

    async def send(self, event: bytes) -> None:
        """Send an event, whole with its blank line; several tasks may send.

        The headers go with the first one, so that what fails before it is a plain response.

        Raises:
            GoneError: If the client takes nothing any more.
        """
        writer = self._writer
        if writer is None:
            writer = self._begin_events()
        await writer.send(event)

    async def finish(self) -> None:
        """End the events, or answer with none."""
        if self._writer is None:
            await self.send(comment(""))
        assert self._writer is not None, "the first event makes it"
        self._writer.finish()

    async def stream(self, events: AsyncIterator[bytes]) -> None:
        """Answer with events of an iterator, which is closed in any case."""
        try:
            async for event in events:
                await self.send(event)
            await self.finish()
        finally:
            closes = getattr(events, "aclose", None)
            if closes is not None:
                with anyio.CancelScope(shield=True):
                    await closes()

    def _begin_events(self) -> EventWriter:
        self._responded = True
        self.record.status = 200
        self.record.streamed = True
        self._writer = writer = EventWriter(self._send, self.server.settings)
        start = {
            "type": "http.response.start",
            "status": 200,
            "headers": self._header_lines(
                {
                    "content-type": "text/event-stream; charset=utf-8",
                    "cache-control": "no-cache",
                    "x-accel-buffering": "no",
                }
            ),
        }
        assert self._group is not None, "events are sent while the exchange runs"
        self._group.start_soon(writer.write, start)
        self._group.start_soon(self._watch_writer, writer)
        return writer

    async def _watch_writer(self, writer: EventWriter) -> None:
        try:
            await writer.watch()
        except GoneError:
            self._leave()

    def _leave(self) -> None:
        """End it all: nobody is there any more."""
        if self.record.outcome in (None, "ok"):
            self.record.outcome = "cancelled"
        self._end()

    def _end(self) -> None:
        if self._group is not None:
            self._group.cancel_scope.cancel()

    def _header_lines(self, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        lines = {"x-request-id": self.record.request_id, **headers}
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]

    # -- the whole of it ----------------------------------------------------

    async def run(self, endpoint: Callable[[Exchange], Awaitable[None]]) -> None:
        """Have an endpoint answer; whatever it raises is told, unless nobody is there."""
        if self.scope["method"] in ("GET", "HEAD", "DELETE"):
            self._body_read.set()
        try:
            async with anyio.create_task_group() as self._group:
                self._group.start_soon(self._watch)
                await self._answered(endpoint)
                if self._writer is not None:
                    await self._writer.over()
                self._end()
        finally:
            if self.record.outcome is None:
                self.record.outcome = "cancelled"
            self.record.seconds = time.monotonic() - self.began
            self.server.note(self.record, self.key)

    async def _answered(self, endpoint: Callable[[Exchange], Awaitable[None]]) -> None:
        try:
            with self.server.ending.waits_for(self):
                await self._until_failure(endpoint)
        except GoneError:
            self.record.outcome = "cancelled"
        except Exception as error:
            failure = told(error, self.names)
            self.record.fail(failure.code)
            if failure.code == "internal_error":
                self.server.note_failure(self.record, error)
            await self._tell_failure(failure)
        else:
            self.record.outcome = self.record.outcome or "ok"

    async def _until_failure(self, endpoint: Callable[[Exchange], Awaitable[None]]) -> None:
        with anyio.CancelScope() as self._endpoint_scope:
            await endpoint(self)
        if self._endpoint_scope.cancelled_caught and self._failure is not None:
            raise self._failure

    def fail(self, failure: ApiError) -> None:
        """End it from outside: what the endpoint does is cancelled, and the client told this."""
        self._failure = failure
        if self._endpoint_scope is not None:
            self._endpoint_scope.cancel()

    async def _tell_failure(self, failure: ApiError) -> None:
        if not self._responded:
            await self.respond(self._tell(failure), failure.status, failure.headers)
        elif self._writer is not None:
            if self.tell_event is not None:
                event = self.tell_event(failure)
            else:
                event = b"data: " + _encoder.encode(self._tell(failure)) + b"\n\n"
            await self._writer.send(event)
            self._writer.finish()

    async def _watch(self) -> None:
        """End it all when the client goes away; while the body is read, its reader sees that."""
        await self._body_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._writer is None:
            self._end()
        elif not self._writer.finished:
            self._leave()
