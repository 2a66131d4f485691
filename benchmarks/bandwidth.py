"""How much of the machine's memory bandwidth decoding reaches.

A token of one stream reads every weight that it needs once: tokens a second times the bytes of
those weights, beside what the machine reads at best, which is measured by summing an array
that no cache holds, in as many threads as processors (numpy lets go of Python's lock). Rows of
the embedding are looked up and do not count, unless the output matrix is the same tensor, which
is read as a whole.

    python benchmarks/bandwidth.py MODEL [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from side_by_side import reports
from side_by_side.rounds import Spread, interleaved

import headrace
from headrace import EngineParams
from headrace.inspection.speed.streams import Stopwatch

ARRAY = 256 * 2**20
"""Bytes that each thread reads: more than caches hold."""
NEW = 48


def weights_read(path: str) -> int:
    """Bytes of weights that a token reads."""
    tensors = headrace.inspect_file(path).tensors
    sizes = {tensor.name: tensor.size_bytes for tensor in tensors}
    embedding = sizes.pop("token_embd.weight", 0)
    tied = "output.weight" not in sizes
    return sum(sizes.values()) + (embedding if tied else 0)


def reading(threads: int) -> Callable[[], float]:
    """GB a second that so many threads read."""
    arrays = [np.ones(ARRAY // 8, dtype=np.int64) for _ in range(threads)]

    def measure() -> float:
        barrier = threading.Barrier(threads + 1)

        def read(array: np.ndarray) -> None:
            barrier.wait()
            array.sum()
            barrier.wait()

        workers = [threading.Thread(target=read, args=(array,)) for array in arrays]
        for worker in workers:
            worker.start()
        barrier.wait()
        began = time.perf_counter()
        barrier.wait()
        taken = time.perf_counter() - began
        for worker in workers:
            worker.join()
        return threads * ARRAY / taken / 1e9

    return measure


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    n_bytes = weights_read(arguments.model)
    threads = len(os.sched_getaffinity(0))
    with headrace.load_model(arguments.model, engine=EngineParams(n_ctx=512)) as model:
        watch = Stopwatch(model)
        watch.decode(1, 4)
        found = {
            name: Spread.of(samples)
            for name, samples in interleaved(
                {
                    f"the machine, {threads} threads": reading(threads),
                    "weights, decoding one stream": lambda: watch.decode(1, NEW) * n_bytes / 1e9,
                },
                arguments.rounds,
            ).items()
        }
    machine, decoding = found.values()
    rows = [(name, f"{each.median:.1f}") for name, each in found.items()]
    rows.append(("of the machine's", f"{decoding.median / machine.median:.0%}"))
    rows.append(("MB of weights a token", f"{n_bytes / 1e6:.0f}"))
    text = reports.table(["GB a second", "median"], rows)
    print(text)
    reports.write(
        arguments.json,
        "bandwidth",
        gb_a_second={name: asdict(each) for name, each in found.items()},
        weights=n_bytes,
        table=text,
    )


if __name__ == "__main__":
    main()
