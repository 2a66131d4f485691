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
from headrace.errors import ModelLoadError
from headrace_server.errors import ApiError
from headrace_server.server import Server

_REDRAWN = 0.1
"""Seconds from one state of the progress bar to the next."""
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
        load = self._ours.registry.begin_load(self._ours.registry.place(None))
        with (
            progress_bar("Loading") as show,
            anyio.CancelScope() as self._loading,
            anyio.move_on_after(limit) as timed,
        ):
            while not load.ended.is_set():
                show(load.progress)
                with anyio.move_on_after(_REDRAWN):
                    await load.ended.wait()
        if not load.ended.is_set():
            if load.job is not None:
                load.job.cancel()
            if timed.cancelled_caught and limit is not None:
                self._give_up(TimedOutError("loading", limit))
        elif load.error is not None:
            told = load.error  # in the words of a response, where the registry itself refused
            self._give_up(ModelLoadError(told.message) if isinstance(told, ApiError) else told)
        else:
            self.is_ready = True
            self._running.ready(anyio.current_time() - began)

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
