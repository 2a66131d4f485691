"""Both as servers: ``headrace serve`` beside llama-server, asked over HTTP by as many clients.

Each client sends a prompt to ``/completion``, which both have, and reads its tokens as they come.
All begin at the same time, and rounds of both take turns, so that what else the machine does meets
both. Settings are the defaults, but for the threads, the number of clients and memory enough.

    python benchmarks/serve_side_by_side.py MODEL --native BUILD/bin [--clients 1 8 16 32]
        [--prompts short long] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from server_side_by_side import FIELDS, LENGTHS, Prompts, shown, together
from side_by_side import reports
from side_by_side.rounds import Spread, interleaved
from side_by_side.server import Server, free_port, serving

import headrace
from headrace import ModelParams

_PATIENCE = 120.0


@contextlib.contextmanager
def headrace_serving(model: str, *arguments: object) -> Iterator[Server]:
    """``headrace serve`` with a model, ended afterwards.

    Args:
        model: The model's file.
        *arguments: More of its options.

    Raises:
        RuntimeError: It ended, or took too long to load.
    """
    port = free_port()
    command = [sys.executable, "-m", "headrace", "serve", model, "--port", port]
    command += ["--no-access-log", "--no-page", "--backend", "llamacpp", *arguments]
    process = subprocess.Popen(
        [str(each) for each in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        server, until = Server(port), time.monotonic() + _PATIENCE
        while not server.is_ready():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"headrace serve did not load {model}")
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait()


def asking(server: Server, new: int) -> Callable[[list[int], Callable[[], None]], None]:
    """What sends one prompt to a server."""
    return lambda prompt, arrived: server.follow(prompt, new, arrived, cache_prompt=True)


def measure(
    arguments: argparse.Namespace, vocabulary: headrace.Model, kind: str, clients: int
) -> dict[str, Any]:
    """One cell of the table: rounds of both servers by turns."""
    new = arguments.new
    slot = -(-(LENGTHS[kind] + new + 8) // 256) * 256
    theirs = ("-np", clients, "-c", slot * clients, "-t", arguments.threads)
    ours: tuple[object, ...] = ("--n-sequences", clients, "--n-ctx", slot * clients)
    if arguments.our_threads:
        ours += ("--threads", arguments.our_threads)
    prompts = Prompts(vocabulary, kind)
    with (
        headrace_serving(arguments.model, *ours) as headrace_server,
        serving(arguments.native, arguments.model, *theirs) as llama_server,
    ):
        askers = {
            "headrace": asking(headrace_server, new),
            "llama-server": asking(llama_server, new),
        }
        for each in askers.values():  # what both do once, such as loading
            together(each, prompts.some(1), new)
        found = interleaved(
            {
                program: lambda ask=ask: together(ask, prompts.some(clients), new)
                for program, ask in askers.items()
            },
            arguments.rounds,
            f"{kind} {clients}:",
        )
    cell: dict[str, Any] = {"prompts": kind, "clients": clients}
    for field in FIELDS:
        spreads = {
            program: Spread.of([getattr(each, field) for each in figures])
            for program, figures in found.items()
        }
        ratio = spreads["headrace"].median / spreads["llama-server"].median
        cell[field] = {"ratio": ratio, **{name: asdict(each) for name, each in spreads.items()}}
    return cell


def main() -> None:
    """Print a line for each kind of prompts and number of clients."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--native", type=Path, required=True, help="the folder of llama-server")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 16, 32])
    parser.add_argument(
        "--prompts", nargs="+", choices=("short", "long"), default=["short", "long"]
    )
    parser.add_argument("--new", type=int, default=64, help="tokens for each client")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of llama-server")
    parser.add_argument("--our-threads", type=int, help="of headrace; it finds out by default")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    cells = []
    only = ModelParams(vocab_only=True)
    with headrace.load_model(arguments.model, backend="llamacpp", params=only) as vocabulary:
        for kind, clients in itertools.product(arguments.prompts, arguments.clients):
            cells.append(measure(arguments, vocabulary, kind, clients))
            # After each, because all of them take long.
            reports.write(arguments.json, "serve_side_by_side", cells=cells)
    heads = ["prompts", "clients"]
    for what in ("t/s", "decode t/s", "first token, s"):
        heads += [f"{what}: headrace", "llama-server", "ratio"]
    rows = [
        [cell["prompts"], cell["clients"]]
        + [text for field, digits in FIELDS.items() for text in shown(cell[field], digits)]
        for cell in cells
    ]
    print(reports.table(heads, rows))


if __name__ == "__main__":
    main()
