"""A server that listens on this machine, for tests that need real connections."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from headrace_server import ServerSettings, create_app


class Listening:
    """A server at work in a thread of its own.

    Args:
        app: What answers.
    """

    def __init__(self, app) -> None:
        self.app = app
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._started = threading.Event()
        config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=5)
        self.uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def _run(self) -> None:
        import asyncio

        async def serve() -> None:
            await self.uvicorn.serve(sockets=[self._socket])

        self.uvicorn.install_signal_handlers = lambda: None
        asyncio.run(serve())

    @property
    def state(self):
        """The server's state, to look at."""
        return self.app.state.server

    def client(self, **options) -> httpx.Client:
        """A client of it."""
        return httpx.Client(base_url=self.url, timeout=30, **options)

    def __enter__(self):
        self._thread.start()
        # The socket listens as soon as uvicorn has it; the kernel holds what comes before.
        with self.client() as client:
            client.get("/health")
        return self

    def __exit__(self, *raised) -> None:
        self.uvicorn.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server ends"


@pytest.fixture
def serve() -> Iterator:
    """Start servers: ``serve("fake:…", max_queue=3)``; each ends with the test."""
    with contextlib.ExitStack() as entered:

        def start(models="fake:", settings=None, **changes) -> Listening:
            app = create_app(models, settings or ServerSettings(), **changes)
            return entered.enter_context(Listening(app))

        yield start
