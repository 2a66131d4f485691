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
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from server_side_by_side import LENGTHS, Prompts, compared, table
from side_by_side import reports
from side_by_side.server import Server, free_port, running, serving

import headrace
from headrace import ModelParams


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
    command: list[object] = [sys.executable, "-m", "headrace", "serve", model, "--port", port]
    command += ["--no-access-log", "--no-page", "--backend", "llamacpp"]
    with running([*command, *arguments], port) as server:
        yield server


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
        cell: dict[str, Any] = {"prompts": kind, "clients": clients}
        return cell | compared(askers, prompts, clients, arguments, f"{kind} {clients}:")


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
    print(table(cells, {"prompts": "prompts", "clients": "clients"}))


if __name__ == "__main__":
    main()
