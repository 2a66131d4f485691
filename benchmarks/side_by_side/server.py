"""llama-server, asked over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_PATIENCE = 120.0
"""Seconds that it has to load its model."""


class Server:
    """A server that listens.

    Args:
        port: On this machine.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def begin(self, prompt: list[int], new: int, **settings: object) -> http.client.HTTPConnection:
        """Ask for a streamed completion, greedy by default, and do not wait for it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5 * _PATIENCE)
        asked = {
            "prompt": prompt,
            "n_predict": new,
            "temperature": 0.0,
            "ignore_eos": True,
            "stream": True,
            "cache_prompt": False,
            **settings,
        }
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/completion", json.dumps(asked), headers)
        return connection

    def complete(self, prompt: list[int], new: int) -> None:
        """A completion from its beginning to its end."""
        connection = self.begin(prompt, new)
        connection.getresponse().read()
        connection.close()

    def follow(
        self, prompt: list[int], new: int, arrived: Callable[[], None], **settings: object
    ) -> None:
        """A completion that is read as it is written; calls back for each token that came."""
        connection = self.begin(prompt, new, **settings)
        n_arrived = 0
        for line in connection.getresponse():
            if line.startswith(b"data: "):
                # Tokens that end no character come with the one that does.
                for _ in range(n_arrived, json.loads(line[6:])["tokens_predicted"]):
                    arrived()
                    n_arrived += 1
        connection.close()

    def is_ready(self) -> bool:
        """Whether the model is loaded."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        return False


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path, model: str, *arguments: object) -> Iterator[Server]:
    """A llama-server with a model, ended afterwards.

    Args:
        folder: Where the program is.
        model: The model's file.
        *arguments: More of its options.

    Raises:
        RuntimeError: It ended, or took too long to load.
    """
    port = free_port()
    command = [folder / "llama-server", "-m", model, "--port", port, "--host", "127.0.0.1"]
    with running([*command, *arguments], port) as server:
        yield server


@contextlib.contextmanager
def running(command: Sequence[object], port: int) -> Iterator[Server]:
    """A server that a command runs, from when its model is loaded; ended afterwards.

    Args:
        command: Its words.
        port: Where it listens.

    Raises:
        RuntimeError: It ended, or took too long to load.
    """
    process = subprocess.Popen(
        [str(each) for each in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        server = Server(port)
        until = time.monotonic() + _PATIENCE
        while not server.is_ready():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} did not load the model")
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait()
