"""How long a sequence stays taken when its client goes away: in the queue, the prefill, decoding.

``headrace serve`` has one sequence. A client is cut off at each of these moments, and ``/slots`` is
asked until the sequence is free, so that a look at it is part of the figures; it is given, too.

    python benchmarks/serve_cancel.py MODEL [--rounds 10] [--json FILE]
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serve_side_by_side import headrace_serving
from side_by_side import reports
from side_by_side.server import Server

LONG = "The quick brown fox jumps over the lazy dog, and then it sleeps. " * 60
_PATIENCE = 60.0


class Slots:
    """The one sequence of a server, looked at.

    Args:
        server: The server.
    """

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def at_work(self) -> bool:
        """Whether a request has it."""
        self._connection.request("GET", "/slots")
        return bool(json.loads(self._connection.getresponse().read())[0]["is_processing"])

    def until(self, wanted: bool) -> float:
        """Seconds until it is so.

        Raises:
            RuntimeError: It is not so after a minute.
        """
        began = time.perf_counter()
        while self.at_work() is not wanted:
            if time.perf_counter() - began > _PATIENCE:
                raise RuntimeError(f"at work: {not wanted}, for a minute")
        return time.perf_counter() - began


def ask(server: Server, number: int, prompt: str) -> http.client.HTTPConnection:
    """A client whose answer goes on until it is cut off."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    asked = {"prompt": f"{number} {prompt}", "stream": True, "ignore_eos": True}
    connection.request(
        "POST", "/completion", json.dumps(asked), {"Content-Type": "application/json"}
    )
    return connection


def in_prefill(server: Server, slots: Slots, number: int) -> float:
    """A long prompt is under way."""
    connection = ask(server, number, LONG)
    slots.until(True)
    connection.close()
    return slots.until(False)


def while_decoding(server: Server, slots: Slots, number: int) -> float:
    """The first tokens have come."""
    connection = ask(server, number, "Once upon a time")
    response = connection.getresponse()
    response.readline()
    response.close()
    connection.close()
    return slots.until(False)


def in_queue(server: Server, slots: Slots, number: int) -> float:
    """One waits behind another and goes; then the other goes, and nobody is left."""
    first = ask(server, number, "Once upon a time")
    slots.until(True)
    second = ask(server, number + 1, "Once upon a time")
    time.sleep(0.05)
    second.close()
    first.close()
    return slots.until(False)


MOMENTS: dict[str, Callable[[Server, Slots, int], float]] = {
    "prefill": in_prefill,
    "decoding": while_decoding,
    "queue": in_queue,
}


def main() -> None:
    """Print the milliseconds of each moment."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    cells: list[dict[str, Any]] = []
    with headrace_serving(arguments.model, "--n-sequences", 1) as server:
        slots = Slots(server)
        while_decoding(server, slots, 0)  # loads the model
        began = time.perf_counter()
        slots.at_work()
        look = time.perf_counter() - began
        for moment, measure in MOMENTS.items():
            taken = [1000 * measure(server, slots, 2 * n) for n in range(arguments.rounds)]
            cells.append({"moment": moment, "median": statistics.median(taken), "most": max(taken)})
    reports.write(arguments.json, "serve_cancel", look_ms=1000 * look, cells=cells)
    rows = [[cell["moment"], f"{cell['median']:.1f}", f"{cell['most']:.1f}"] for cell in cells]
    print(reports.table(["client goes away in the", "median, ms", "most, ms"], rows))
    print(f"a look takes {1000 * look:.1f} ms")


if __name__ == "__main__":
    main()
