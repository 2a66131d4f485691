"""What the server itself costs for each token of a stream, in CPU time.

Streams of the fake are read over real connections, by clients in another process. What the same
streams cost without a server, read by tasks of one event loop, is taken off::

    python benchmarks/server_cost.py --streams 16 --tokens 500
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import sys
import threading
import time

import uvicorn

import headrace
from headrace_server import ModelSpec, create_app

REFERENCE = "fake:#mean_length=0&n_ctx=1000000&delay=0.01"
"""A step takes so long that each token is an event of its own."""
HELLO = [{"role": "user", "content": "Hi"}]


def main() -> int:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    spec = ModelSpec(
        name="fake",
        reference=REFERENCE,
        engine=headrace.EngineParams(n_ctx=1_000_000, n_sequences=asked.streams),
    )
    alone, served = [], []
    with headrace.load_model(REFERENCE, engine=spec.engine) as model:
        for _ in range(asked.rounds):
            alone.append(_cost(asked, lambda: asyncio.run(_read_all(model, asked))))
    with _Served(spec) as port:
        _clients(port, asked, tokens=5)  # loads the model
        for _ in range(asked.rounds):
            served.append(_cost(asked, lambda: _clients(port, asked)))
    print(
        json.dumps(
            {
                "streams": asked.streams,
                "tokens": asked.tokens,
                "alone_us": min(alone),
                "served_us": min(served),
                "server_us_per_token": min(served) - min(alone),
            }
        )
    )
    return 0


def _cost(asked: argparse.Namespace, work) -> float:
    """Microseconds of this process's CPU time for each token."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / (asked.streams * asked.tokens) * 1e6


async def _read_all(model: headrace.Model, asked: argparse.Namespace) -> None:
    async def read() -> None:
        session = await model.aopen_session()
        async with session, await session.achat(HELLO, max_tokens=asked.tokens) as stream:
            async for _ in stream:
                pass

    await asyncio.gather(*(read() for _ in range(asked.streams)))


class _Served:
    """A server in a thread of this process."""

    def __init__(self, spec: ModelSpec) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        app = create_app(spec, access_log=False)
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        self._server.install_signal_handlers = lambda: None
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[self._socket]))
        )

    def __enter__(self) -> int:
        self._socket.listen()
        self._thread.start()
        return self._socket.getsockname()[1]

    def __exit__(self, *raised: object) -> None:
        self._server.should_exit = True
        self._thread.join()


def _clients(port: int, asked: argparse.Namespace, tokens: int | None = None) -> None:
    """As many clients as there are streams, in a process of their own."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_ask_all, args=(port, asked.streams, tokens or asked.tokens))
    process.start()
    process.join()
    assert process.exitcode == 0, "the clients have read what they asked for"


def _ask_all(port: int, streams: int, tokens: int) -> None:
    body = json.dumps({"messages": HELLO, "max_tokens": tokens, "stream": True}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()

    async def ask() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        answer = await reader.read()
        writer.close()
        assert b"data: [DONE]" in answer, answer[-500:]
        return answer.count(b"data: {")

    async def ask_all() -> list[int]:
        return await asyncio.gather(*(ask() for _ in range(streams)))

    events = asyncio.run(ask_all())
    print(f"{sum(events) / len(events):.0f} events a stream", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
