"""Decode throughput beside llama-batched-bench and llama-bench, interleaved.

For each number of streams both decode 64 tokens after 128-token prompts, greedy
in headrace with text and stop-string search, no sampling at all in the native
program. Only the decode phase counts in both: from the moment at which all
prompts are in memory.

    python benchmarks/throughput.py MODEL --native BUILD/bin [--rounds 3] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import anyio

import headrace
from headrace import EngineParams, SamplingParams

GREEDY = SamplingParams(temperature=0.0)
PROMPT, NEW = 128, 64


def prompts(model: headrace.Model, count: int) -> list[list[int]]:
    """Prompts of 128 tokens that begin differently, so that none is shared."""
    text = model.tokenize("The quick brown fox jumps over the lazy dog. " * 20)
    return [[*model.tokenize(f"{n}. "), *text][:PROMPT] for n in range(count)]


class Clock:
    """Times the phase in which every stream decodes.

    Each stream reads its first token and then waits for the others, so that the
    decode phase begins when all prompts are in memory, as in the native program.
    """

    def __init__(self) -> None:
        self.began = 0.0

    def start(self) -> None:
        """Called once, when all have their first token."""
        self.began = time.perf_counter()


def by_threads(model: headrace.Model, count: int) -> float:
    """Tokens a second in the decode phase of ``count`` threads."""
    clock = Clock()
    barrier = threading.Barrier(count, action=clock.start)

    def run(prompt: list[int]) -> None:
        with model.open_session() as session:
            stream = session.generate(
                prompt, sampling=GREEDY, max_tokens=NEW + 1, ignore_eog=True, stop=["\0never"]
            )
            next(stream)
            barrier.wait()
            for _ in stream:
                pass

    threads = [threading.Thread(target=run, args=(each,)) for each in prompts(model, count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count * NEW / (time.perf_counter() - clock.began)


def by_tasks(model: headrace.Model, count: int) -> float:
    """The same by tasks of one event loop."""
    clock = Clock()

    async def main() -> float:
        arrived = 0
        everybody = anyio.Event()

        async def run(prompt: list[int]) -> None:
            nonlocal arrived
            async with await model.aopen_session() as session:
                stream = session.generate(
                    prompt, sampling=GREEDY, max_tokens=NEW + 1, ignore_eog=True, stop=["\0never"]
                )
                await stream.__anext__()
                arrived += 1
                if arrived == count:
                    clock.start()
                    everybody.set()
                await everybody.wait()
                async for _ in stream:
                    pass

        async with anyio.create_task_group() as group:
            for prompt in prompts(model, count):
                group.start_soon(run, prompt)
        return count * NEW / (time.perf_counter() - clock.began)

    return anyio.run(main)


def batched_bench(native: Path, path: str, count: int, threads: int, shared: bool) -> float:
    """Decode tokens a second of llama-batched-bench."""
    done = subprocess.run(
        [
            native / "llama-batched-bench", "-m", path, "-c", "4096", "-b", "2048", "-ub", "512",
            "-npp", str(PROMPT), "-ntg", str(NEW), "-npl", str(count), "-t", str(threads),
            "--output-format", "jsonl", *(["-kvu"] if shared else []),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return float(rows[-1]["speed_tg"])


def single_bench(native: Path, path: str, threads: int) -> float:
    """Tokens a second of llama-bench tg128."""
    done = subprocess.run(
        [native / "llama-bench", "-m", path, "-p", "0", "-n", "128", "-t", str(threads), "-r", "3",
         "-o", "json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(json.loads(done.stdout)[0]["avg_ts"])


def single(model: headrace.Model) -> float:
    """Tokens a second of one stream of 128 tokens."""
    with model.open_session() as session:
        done = session.complete([2], sampling=GREEDY, max_tokens=129, ignore_eog=True)
    return done.timings.decode_rate or 0.0


def main() -> None:
    """Print a line for each number of streams."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("model")
    parser.add_argument("--native", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--shared", action="store_true", help="one memory for all, in the native program too"
    )
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 2, 4, 8, 16])
    arguments = parser.parse_args()

    def engine(sequences: int) -> EngineParams:
        return EngineParams(
            n_ctx=4096,
            n_sequences=sequences,
            n_threads=arguments.threads,
            divided=not arguments.shared,
        )

    print("streams   native  threads    tasks   threads/native  tasks/native   (t/s, medians)")
    for count in arguments.streams:
        figures: dict[str, list[float]] = {"native": [], "threads": [], "tasks": []}
        with headrace.load_model(
            arguments.model, backend="llamacpp", engine=engine(count)
        ) as model:
            for _ in range(arguments.rounds):
                print(f"\r{count} …", end="", file=sys.stderr, flush=True)
                figures["native"].append(
                    batched_bench(
                        arguments.native,
                        arguments.model,
                        count,
                        arguments.threads,
                        arguments.shared,
                    )
                )
                figures["threads"].append(by_threads(model, count))
                figures["tasks"].append(by_tasks(model, count))
        native, threads, tasks = (statistics.median(each) for each in figures.values())
        ratios = f"{threads / native:13.3f} {tasks / native:13.3f}"
        print(f"\r{count:7} {native:8.1f} {threads:8.1f} {tasks:8.1f}   {ratios}")

    alone: dict[str, list[float]] = {"native": [], "headrace": []}
    with headrace.load_model(arguments.model, backend="llamacpp", engine=engine(1)) as model:
        single(model)
        for _ in range(arguments.rounds):
            alone["native"].append(
                single_bench(arguments.native, arguments.model, arguments.threads)
            )
            alone["headrace"].append(single(model))
    native, ours = (statistics.median(each) for each in alone.values())
    print(f"one stream, 128 tokens: llama-bench {native:.1f}, headrace {ours:.1f}: "
          f"{ours / native:.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
