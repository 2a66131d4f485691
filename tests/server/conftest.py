"""A server that listens on this machine, for tests that need real connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from headrace_server import ServerSettings, create_app
from headrace_server.http.record import Record


class Listening:
    """A server at work in a thread of its own.

    Args:
        app: What answers.
    """

    def __init__(self, app) -> None:
        self.app = app
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(1024)  # before uvicorn does: what comes early waits
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=5)
        self.uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self.uvicorn.serve(sockets=[self._socket])

        self.uvicorn.install_signal_handlers = lambda: None
        asyncio.run(serve())

    def call(self, function, *arguments) -> None:
        """Have the server's event loop call a function soon."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def start(self, function) -> None:
        """Have the server's event loop begin a coroutine."""
        asyncio.run_coroutine_threadsafe(function(), self._loop)

    @property
    def state(self):
        """The server's state, to look at."""
        return self.app.state.server

    def client(self, **options) -> httpx.Client:
        """A client of it."""
        return httpx.Client(base_url=self.url, timeout=30, **options)

    def __enter__(self):
        self._thread.start()
        with self.client() as client:
            client.get("/health")
        return self

    def __exit__(self, *raised) -> None:
        self.uvicorn.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server ends"


@contextlib.contextmanager
def _starting() -> Iterator:
    with contextlib.ExitStack() as entered:

        def start(models="fake:", settings=None, **changes) -> Listening:
            app = create_app(models, settings or ServerSettings(), **changes)
            return entered.enter_context(Listening(app))

        yield start


class Asking:
    """A request, as far as queues and models look at it.

    Args:
        time_left: Seconds until its deadline; None: there is none.
    """

    def __init__(self, time_left=None) -> None:
        self.time_left = time_left
        self.began = time.monotonic()
        self.record = Record(method="POST", path="/")


@pytest.fixture
def asking():
    """Makes requests for tests that need no connection: ``asking(time_left=3)``."""
    return Asking


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    """The event loops that tests marked ``anyio`` run on."""
    return request.param


@pytest.fixture
def serve() -> Iterator:
    """Start servers: ``serve("fake:…", max_queue=3)``; each ends with the test."""
    with _starting() as start:
        yield start


@pytest.fixture(scope="module")
def serve_all() -> Iterator:
    """The same for all tests of a module, which are to leave no traces."""
    with _starting() as start:
        yield start


@pytest.fixture
def serve_once():
    """Makes servers, each of which a test starts and ends by a ``with`` block."""

    def make(models="fake:", **changes) -> Listening:
        return Listening(create_app(models, ServerSettings(), **changes))

    return make
