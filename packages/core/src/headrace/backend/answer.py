"""The generation behind a service's stream: a helper thread reads, a bounded queue lies between.

The reader may be a thread or a task, may stop reading, go away, or be told by a signal handler to
end; the service may be silent for minutes. So whoever waits here, reader or helper, waits in a
``SimpleQueue``, whose ``put`` may be called from anywhere: it is what wakes both.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from headrace.common.seam import Seam
from headrace.common.uncopyable import Uncopyable
from headrace.common.workers import in_worker
from headrace.errors import (
    BackendError,
    ClosedError,
    HeadraceError,
    ServiceError,
    ServiceUnreachableError,
)
from headrace.results import Chunk, ModelInfo, Receipt, StopReason, Timings, Usage
from headrace.streams.checked import checked_delta
from headrace.streams.generation import Delta, GenerationReport, Piece

if TYPE_CHECKING:
    import asyncio

AHEAD = 8
"""Deltas that a service may be ahead of the reader."""
_TURN = 0.5
"""Seconds of one wait: a signal that comes just before it is seen by Python after it."""
Answered = Iterator["str | Delta"] | AsyncIterator["str | Delta"]
Remember = Callable[[str], None]
_WRITTEN = (
    StopReason.EOG,
    StopReason.STOP_STRING,
    StopReason.MAX_TOKENS,
    StopReason.CONTEXT_FULL,
)
"""Ends of an answer that was whole, even if it has no text."""
_OF_FILES = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
"""Errors of the system's that do not come from a network."""


class ServiceCall:
    """What the code that asks a service knows of the generation that it asks for."""

    def __init__(self) -> None:
        self.over = False
        """Whether nobody waits for the answer any more."""
        self._closers: list[Callable[[], object]] = []

    def on_end(self, close: Callable[[], object]) -> None:
        """Have something called when the generation is over, or at once if it is.

        It is what ends a read that blocks. It is called once, by any thread, also in a signal
        handler or a finalizer, so it may take no lock: ``socket.shutdown`` is right, and
        ``close`` of a file that another thread reads is not. What it raises is dropped.

        Args:
            close: Takes no arguments.
        """
        self._closers.append(close)
        if self.over:
            self.end()

    def end(self) -> None:
        """The generation is over. Takes no lock; again it does nothing."""
        self.over = True
        with contextlib.suppress(IndexError):
            while True:
                close = self._closers.pop()
                with contextlib.suppress(Exception):
                    close()


class Answer(Uncopyable):
    """A ``Generation`` over an iterator of a service's deltas.

    Args:
        ask: Asks the service, in the helper thread.
        info: Of the model.
        seed: For the receipt.
        remember: Told once, at the end, the text that the reader has seen, if the prompt and
            it belong to the history.
    """

    checked = True  # here, as each delta comes

    def __init__(
        self,
        ask: Callable[[ServiceCall], Any],
        info: ModelInfo,
        seed: int | None,
        remember: Remember,
    ) -> None:
        self.carry = b""
        self.chunks: list[tuple[Chunk, int]] = []
        """What the reader has been given; filled by the stream."""
        self.interrupted: StopReason | None = None
        self.report: GenerationReport | None = None
        self._ask = ask
        self._info = info
        self._seed = seed
        self._remember = [remember]
        self._seam = Seam(info.backend)
        self._call = ServiceCall()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._items: SimpleQueue[Delta | BaseException | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(AHEAD):
            self._room.put(None)
        self._make_room: Callable[[], object] = partial(self._room.put, None)
        self._pieces: list[bytes] = []
        self._seen = 0
        self._pulls = 0
        self._usage: Usage | None = None
        self._began = time.monotonic()
        self._first: float | None = None

    # -- reading ------------------------------------------------------------

    def pull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.pull``."""
        until = None if max_wait is None else time.monotonic() + max_wait
        while True:
            end = self._end()
            if end is not None:
                return end
            self._start()
            left = _TURN if until is None else min(_TURN, until - time.monotonic())
            try:
                item = self._items.get(timeout=max(0.0, left))
            except Empty:
                if left <= 0:
                    return None
                continue
            if item is not None:
                return self._taken(item)

    async def apull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.apull``; what is there already needs no thread."""
        import anyio.lowlevel

        await anyio.lowlevel.checkpoint()
        with contextlib.suppress(Empty):
            item = None if self._end() else self._items.get_nowait()
            if item is not None:
                return self._taken(item)
        cancel = partial(self.interrupt, StopReason.CANCELLED)
        return await in_worker(partial(self.pull, max_wait), cancel=cancel)

    def _end(self) -> Delta | None:
        """An end that does not come from the service."""
        if self.interrupted is not None:
            return Delta(end=self.interrupted)
        if self._closed:
            raise ClosedError("the session was closed", backend=self._info.backend)
        return None

    def _taken(self, item: Delta | BaseException) -> Delta:
        self._make_room()
        end = self._end()  # it may have come while this waited
        if end is not None:
            return end
        if isinstance(item, BaseException):
            raise item
        if item.pieces and self._first is None:
            self._first = time.monotonic() - self._began
        self._pulls += 1
        self._pieces += (piece.data for piece in item.pieces)
        self._usage = item.usage or self._usage
        return item

    def deliver(self, pieces: int) -> bool:
        """See ``Generation.deliver``."""
        if self.report is not None or self._end() is not None:
            return False
        self._seen += pieces
        return True

    # -- ending -------------------------------------------------------------

    def interrupt(self, reason: StopReason) -> None:
        """See ``Generation.interrupt``. Takes no lock."""
        if self.interrupted is None:
            self.interrupted = reason
        self._wake()

    def close(self) -> None:
        """End it with ``ClosedError``. Takes no lock."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        """Let reader and helper see that it is over."""
        self._call.end()
        self._items.put(None)
        self._make_room()

    def settle(self, reason: StopReason | None, seen: int, carry: bytes = b"") -> GenerationReport:
        """See ``Generation.settle``. What was held back in the reader is not remembered."""
        if self.report is None:
            self.report = self._reported(seen)
            self._wake()
        with contextlib.suppress(IndexError):
            remember = self._remember.pop()  # once, whoever comes first
            text = self._text(seen)
            if text or reason in _WRITTEN:
                remember(text)
        return self.report

    def abandon(self) -> None:
        """Settle for a reader that has gone away, with what it was given."""
        self.settle(self.interrupted, self._seen)

    def _text(self, seen: int) -> str:
        """What the reader was given; behind a pipe only its number of pieces is known."""
        if self.chunks:
            return "".join(chunk.text for chunk, _ in self.chunks)
        return b"".join(self._pieces[:seen]).decode(errors="replace")

    def _reported(self, seen: int) -> GenerationReport:
        return GenerationReport(
            usage=self._usage or Usage(completion_tokens=seen),
            timings=Timings(
                first_token_seconds=self._first, total_seconds=time.monotonic() - self._began
            ),
            receipt=Receipt(
                backend=self._info.backend,
                build=self._info.build,
                seed=self._seed,
                reproducible=False,
                reason="it was written by a service, which promises nothing",
            ),
        )

    def counters(self) -> tuple[int, int, int]:
        """See ``Generation.counters``."""
        return self._items.qsize(), self._pulls, 0

    # -- the helper thread --------------------------------------------------

    def _start(self) -> None:
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="headrace-service", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise BackendError(
                f"no thread can be started to ask the service: {error}",
                backend=self._info.backend,
            ) from error

    def _run(self) -> None:
        try:
            answer = self._ask(self._call)
            if hasattr(answer, "__anext__"):
                import asyncio

                asyncio.run(self._read_async(answer))
            else:
                self._read(iter(answer))
        except BaseException as error:
            self._items.put(self._typed(error))

    def _read(self, answer: Iterator[Any]) -> None:
        try:
            while self._may_go_on():
                if self._take(next(answer, Delta(end=StopReason.EOG))):
                    break
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()

    def _may_go_on(self) -> bool:
        """Wait for room; whether somebody waits for what comes next."""
        self._room.get()
        return not self._call.over

    def _take(self, item: Any) -> bool:
        """Queue what the service has sent; whether it was the end."""
        if isinstance(item, str):
            item = Delta((Piece(None, item.encode(errors="replace")),)) if item else Delta()
        delta = checked_delta(self._seam, "_stream_from", item)
        self._items.put(delta)
        return delta.end is not None

    async def _read_async(self, answer: AsyncIterator[Any]) -> None:
        import asyncio

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        turn = asyncio.Event()
        self._make_room = partial(self._make_room_in, loop, turn)
        self._call.on_end(partial(loop.call_soon_threadsafe, task.cancel))
        try:
            while await self._may_go_on_async(turn):
                if self._take(await anext(answer, Delta(end=StopReason.EOG))):
                    break
        finally:
            self._make_room = partial(self._room.put, None)
            close = getattr(answer, "aclose", None)
            if close is not None:
                await close()

    def _make_room_in(self, loop: asyncio.AbstractEventLoop, turn: asyncio.Event) -> None:
        self._room.put(None)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(turn.set)

    async def _may_go_on_async(self, turn: asyncio.Event) -> bool:
        """The same in the helper's event loop, which turns meanwhile."""
        while True:
            turn.clear()
            try:
                self._room.get_nowait()
            except Empty:
                await turn.wait()
            else:
                return not self._call.over

    def _typed(self, error: BaseException) -> BaseException:
        """What the reader is told of something that was raised while the service was asked."""
        if isinstance(error, HeadraceError):
            return error
        found = network_error(error, self._info.backend) or self._seam.blame("_stream_from", error)
        if found is None and not isinstance(error, (MemoryError, RecursionError)):
            found = self._seam.breach("_stream_from", f"{type(error).__name__} was raised")
        return found or error


def network_error(error: BaseException, backend: str | None = None) -> ServiceError | None:
    """The error for what the standard library's network modules raise; None for anything else.

    Args:
        error: Such as a ``ConnectionError``, or a ``urllib.error.HTTPError``.
        backend: Name of the backend concerned.
    """
    http = sys.modules.get("http.client")
    of_http = http is not None and isinstance(error, http.HTTPException)
    if not of_http and (not isinstance(error, OSError) or isinstance(error, _OF_FILES)):
        return None
    status = getattr(error, "code", None)
    found: ServiceError
    if isinstance(status, int):
        after = (getattr(error, "headers", None) or {}).get("Retry-After", "")
        found = ServiceError(
            f"the service answered with status {status}: {error}",
            status=status,
            retry_after=float(after) if after.isdecimal() else None,
            backend=backend,
        )
    else:
        found = ServiceUnreachableError(
            f"the service cannot be reached: {error!r}",
            hint="Look whether it runs, at its address, and at the network between.",
            backend=backend,
        )
    found.__cause__ = error
    return found
