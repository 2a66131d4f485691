"""Running a server: uvicorn, the first model, and the end when somebody asks for it.

The first SIGTERM or Ctrl-C stops accepting: what is under way has the grace to finish, is then
ended with an error, and the process exits with 0. A second Ctrl-C ends the process at once.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import attrs
import uvicorn
from starlette.applications import Starlette

from headrace.cli.limits import TimedOutError
from headrace.cli.progress import progress_bar
from headrace.errors import HeadraceError
from headrace_server.server import Server

_KEEP_ALIVE = 75
"""Seconds that a silent connection is kept: longer than proxies keep theirs."""
_LAST_RESORT = 15
"""Seconds after the grace in which what was ended has to be gone."""
_INTERRUPTED = 130


@attrs.frozen
class Running:
    """How an application is run."""

    sockets: Sequence[socket.socket]
    certificate: Path | None = None
    key: Path | None = None
    load_timeout: float | None = None
    """Seconds for loading the first model."""
    ready: Callable[[float], None] = lambda seconds: None
    """Told when the first model is loaded, and how long that took."""


class _Uvicorn(uvicorn.Server):
    """uvicorn with an end of our own.

    Args:
        config: uvicorn's.
        server: Ours.
        running: How it is run.
    """

    def __init__(self, config: uvicorn.Config, server: Server, running: Running) -> None:
        super().__init__(config)
        self._ours, self._running = server, running
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = anyio.Event()
        """Set when the end was asked for."""
        self._loading: anyio.CancelScope | None = None
        self.failure: BaseException | None = None
        """Why the first model is not there."""
        self.is_ready = False
        """Whether it is."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until somebody asks for the end."""
        self._loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as group:
            group.start_soon(self._load_first)
            group.start_soon(self._finish_when_asked)
            await super().serve(sockets)
            group.cancel_scope.cancel()

    # -- the first model ----------------------------------------------------

    async def _load_first(self) -> None:
        limit = self._running.load_timeout
        began = anyio.current_time()
        try:
            with anyio.CancelScope() as self._loading, anyio.move_on_after(limit) as timed:
                await self._load_with_bar()
        except HeadraceError as error:
            self._give_up(error)
            return
        if timed.cancelled_caught and limit is not None:
            self._give_up(TimedOutError("loading", limit))
        elif not self._loading.cancelled_caught:
            self.is_ready = True
            self._running.ready(anyio.current_time() - began)

    async def _load_with_bar(self) -> None:
        place = self._ours.registry.place(None)
        with progress_bar("Loading") as show:

            async def watch() -> None:
                while True:
                    show(place.progress)
                    await anyio.sleep(0.1)

            failure = None
            async with anyio.create_task_group() as group:
                group.start_soon(watch)
                try:
                    await self._ours.registry.loaded(place)
                except HeadraceError as error:  # which the group would wrap
                    failure = error
                group.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def _give_up(self, failure: BaseException) -> None:
        self.failure = failure
        self.should_exit = True
        self._asked.set()

    # -- the end ------------------------------------------------------------

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for signals, in the main thread."""
        if self.should_exit and sig == signal.SIGINT:
            os.write(2, b"headrace: interrupted\n")
            os._exit(_INTERRUPTED)
        if sig == signal.SIGINT and not self.is_ready and self.failure is None:
            self.failure = KeyboardInterrupt()
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._asked.set)

    async def _finish_when_asked(self) -> None:
        await self._asked.wait()
        if self._loading is not None:
            self._loading.cancel()
        await self._ours.ending.finish(self._ours.settings.shutdown_grace)


def run(app: Starlette, running: Running) -> None:
    """Run an application of ``create_app`` until somebody asks for its end.

    Args:
        app: The application.
        running: How.

    Raises:
        HeadraceError: If the first model cannot be loaded.
        TimedOutError: If that took too long.
        KeyboardInterrupt: If it was interrupted before the first model was there.
    """
    server: Server = app.state.server
    options: dict[str, Any] = {}
    if running.certificate is not None:
        options.update(ssl_certfile=running.certificate, ssl_keyfile=running.key)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=math.ceil(server.settings.shutdown_grace) + _LAST_RESORT,
        **options,
    )
    ours = _Uvicorn(config, server, running)
    ours.run(sockets=list(running.sockets))
    if ours.failure is not None:
        raise ours.failure
