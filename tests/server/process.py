"""``headrace serve`` as a process of its own, for what only a process does: signals, exit codes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx

PATIENCE = 60
"""Seconds after which a process that does nothing is a failure."""
HELD = """
import anyio
from starlette.routing import Route
from headrace_server import cli
from headrace_server.endpoints import Answering
from headrace_server.http.events import DONE, event

go_on, inside = anyio.Event(), anyio.Event()

async def held(exchange):
    async def events():
        yield event("first")
        await go_on.wait()
        yield event("last")
        yield DONE
    await exchange.stream(events())

async def endless(exchange):
    exchange.is_endless = True
    await held(exchange)

async def silent(exchange):
    inside.set()
    await go_on.wait()
    await exchange.respond("answered")

async def asked(exchange):
    await inside.wait()
    await exchange.respond("asked")

plain = cli.create_app

def create_app(*arguments, **more):
    app = plain(*arguments, **more)
    for path, endpoint in dict(held=held, endless=endless, silent=silent, asked=asked).items():
        answering = Answering(app.state.server, endpoint)
        app.router.routes.insert(0, Route("/" + path, answering, methods=["GET"]))
    return app

cli.create_app = create_app
"""
"""Endpoints beside the others, whose answers wait until somebody lets them go; ``/asked`` answers
when somebody has asked for ``/silent``."""


class Serving:
    """A process that serves.

    Args:
        *arguments: Those of ``headrace serve``; a free port is chosen.
        prepare: Code that the process runs before.
        environment: Variables that differ.
    """

    def __init__(self, *arguments: str, prepare: str = "", environment: dict | None = None) -> None:
        code = f"{prepare}\nfrom headrace_command import main; main()"
        command = [sys.executable, "-c", code, "serve", *arguments, "--port", "0"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        line = self.process.stdout.readline()
        found = re.search(r"https?://\S+(?=/v1)", line)
        if found is None:
            error = self.process.communicate(timeout=PATIENCE)[1]
            raise AssertionError(f"it does not serve: {line}{error}")
        self.first_line = line
        self.url = found[0]

    def wait_until_ready(self) -> str:
        """Wait for the first model; the line that tells of it."""
        line = self.process.stdout.readline()
        assert line.startswith("Ready: "), line
        return line

    def client(self, **options) -> httpx.Client:
        """A client of it."""
        return httpx.Client(base_url=self.url, timeout=PATIENCE, **options)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self.process.send_signal(number)

    def ended(self) -> tuple[int, str]:
        """Wait for the end: the exit code, and what it wrote to stderr."""
        _, error = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, error


@contextlib.contextmanager
def serving(*arguments: str, **more) -> Iterator[Serving]:
    """A server whose first model is loaded; killed at the end, if it lives."""
    made = Serving(*arguments, **more)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
        made.process.communicate(timeout=PATIENCE)
