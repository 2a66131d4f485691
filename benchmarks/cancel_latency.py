"""How long a stream takes to end after ``cancel()``.

A reader thread reads; this thread cancels at a random moment of a long prefill,
or of decoding, alone or among neighbours that go on reading. The time counts
from the call of ``cancel()`` until the reader's loop has ended.

    python benchmarks/cancel_latency.py MODEL [--samples 30] [--threads 2] [--peer]
        [--native BUILD/bin] [--json FILE]

``--native`` measures llama-server beside it: a client closes its connection in the prefill, and
the next one asks for one token of a short prompt. The same is asked of headrace, cancelled the
same way, with one sequence as the server has one slot: milliseconds until that token is there.

``--peer`` measures llama-cpp-python's way beside it, if it is installed: the
caller stops its loop, which it can do between tokens only, so the time in a
prefill is what is left of the prefill.
"""

from __future__ import annotations

import argparse
import random
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from side_by_side import reports
from side_by_side.rounds import Spread
from side_by_side.server import serving

import headrace
from headrace import EngineParams, SamplingParams

GREEDY = SamplingParams(temperature=0.0)
PREFILL_TOKENS = 1500


def reading(stream: headrace.TokenStream, ended: list[float], began: threading.Event) -> None:
    """Read to the end and note when that was."""
    for _ in stream:
        began.set()
    ended.append(time.perf_counter())


def sample(model: headrace.Model, phase: str, draw: random.Random) -> float:
    """Seconds from one cancel to the end of its stream."""
    prompt = [draw.randrange(100, model.info.n_vocab) for _ in range(PREFILL_TOKENS)]
    prompt = prompt if phase == "prefill" else prompt[:16]
    ended: list[float] = []
    began = threading.Event()
    with model.open_session() as session:
        stream = session.generate(prompt, sampling=GREEDY, ignore_eog=True)
        reader = threading.Thread(target=reading, args=(stream, ended, began))
        reader.start()
        if phase == "decode":
            began.wait()
        time.sleep(draw.uniform(0.02, 0.2))
        at = time.perf_counter()
        stream.cancel()
        reader.join()
    return ended[0] - at


def neighbour(model: headrace.Model, number: int, over: threading.Event) -> None:
    """Generates until told to stop."""
    while not over.is_set():
        with model.open_session() as session:
            stream = session.generate(
                f"{number}: ", sampling=GREEDY, ignore_eog=True, max_tokens=200
            )
            for _ in stream:
                if over.is_set():
                    stream.cancel()


def measure(model: headrace.Model, phase: str, neighbours: int, samples: int) -> list[float]:
    """Latencies in milliseconds, sorted."""
    over = threading.Event()
    others = [
        threading.Thread(target=neighbour, args=(model, number, over))
        for number in range(neighbours)
    ]
    for thread in others:
        thread.start()
    draw = random.Random(7)
    latencies = sorted(sample(model, phase, draw) * 1000 for _ in range(samples))
    over.set()
    for thread in others:
        thread.join()
    return latencies


def peer(path: str, samples: int, threads: int) -> None:
    """The same for llama-cpp-python: its loop can stop between tokens only."""
    from llama_cpp import Llama

    model = Llama(path, n_ctx=4096, n_threads=threads, n_batch=2048, verbose=False)
    draw = random.Random(7)
    latencies = []
    for _ in range(min(samples, 5)):
        prompt = [draw.randrange(100, model.n_vocab()) for _ in range(PREFILL_TOKENS)]
        model.reset()
        wanted_at: list[float] = []
        timer = threading.Timer(
            draw.uniform(0.02, 0.2), lambda at=wanted_at: at.append(time.perf_counter())
        )
        timer.start()
        for _ in model.generate(prompt, temp=0.0):
            if wanted_at:
                break
        latencies.append((time.perf_counter() - wanted_at[0]) * 1000)
    report("llama-cpp-python", "prefill", 0, sorted(latencies))


def until_the_next(
    draw: random.Random, n_vocab: int, begin: Callable[[list[int]], Callable[[], None]],
    ask: Callable[[list[int]], None],
) -> float:  # fmt: skip
    """Milliseconds from the end of a prefill that was asked for to the next one's token.

    Args:
        draw: Where prompts and moments come from.
        n_vocab: Tokens to draw from.
        begin: Begins a long prompt; returns what ends it.
        ask: Asks for a token of a short prompt.
    """
    end = begin([draw.randrange(100, n_vocab) for _ in range(PREFILL_TOKENS)])
    time.sleep(draw.uniform(0.02, 0.2))
    began = time.perf_counter()
    end()
    ask([draw.randrange(100, n_vocab) for _ in range(8)])
    return (time.perf_counter() - began) * 1000


def beside_server(folder: Path, path: str, samples: int, threads: int) -> dict[str, list[float]]:
    """Cancels here and in llama-server by turns, each with room for one."""
    engine = EngineParams(n_ctx=2048, n_sequences=1, n_threads=threads)
    found: dict[str, list[float]] = {"headrace": [], "llama-server": []}
    options = ("-c", 2048, "-np", 1, "-t", threads, "-tb", threads)
    with (
        headrace.load_model(path, backend="llamacpp", engine=engine) as model,
        serving(folder, path, *options) as server,
    ):

        def begin_here(prompt: list[int]) -> Callable[[], None]:
            session = model.open_session()
            stream = session.generate(prompt, sampling=GREEDY, ignore_eog=True)
            reader = threading.Thread(target=reading, args=(stream, [], threading.Event()))
            reader.start()

            def end() -> None:
                stream.cancel()
                reader.join()
                session.close()

            return end

        def ask_here(prompt: list[int]) -> None:
            with model.open_session() as session:
                session.complete(prompt, sampling=GREEDY, max_tokens=1, ignore_eog=True)

        def begin_there(prompt: list[int]) -> Callable[[], None]:
            return server.begin(prompt, 100).close

        n_vocab = model.info.n_vocab
        for number in range(samples):
            sides = {
                "headrace": (begin_here, ask_here),
                "llama-server": (begin_there, lambda prompt: server.complete(prompt, 1)),
            }
            for name, (begin, ask) in sides.items():
                draw = random.Random(number)
                found[name].append(until_the_next(draw, n_vocab, begin, ask))
    return {name: sorted(latencies) for name, latencies in found.items()}


def report(who: str, phase: str, neighbours: int, latencies: list[float]) -> None:
    """One line."""
    p99 = latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))]
    print(
        f"{who:16} {phase:8} neighbours {neighbours}: p50 {statistics.median(latencies):8.2f} ms, "
        f"p99 {p99:8.2f} ms, max {latencies[-1]:8.2f} ms  ({len(latencies)} samples)",
        flush=True,
    )


def main() -> None:
    """Print a line for each phase, alone and with seven neighbours."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--samples", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--native", type=Path, help="folder of the native programs")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    engine = EngineParams(n_ctx=8192, n_sequences=8, n_threads=arguments.threads)
    found: dict[str, object] = {}
    with headrace.load_model(arguments.model, backend="llamacpp", engine=engine) as model:
        for neighbours in (0, 7):
            for phase in ("prefill", "decode"):
                latencies = measure(model, phase, neighbours, arguments.samples)
                report("headrace", phase, neighbours, latencies)
                found[f"{phase}, {neighbours} neighbours"] = asdict(Spread.of(latencies))
    if arguments.peer:
        peer(arguments.model, arguments.samples, arguments.threads)
    if arguments.native is not None:
        beside = beside_server(
            arguments.native, arguments.model, min(arguments.samples, 10), arguments.threads
        )
        for name, latencies in beside.items():
            report(name, "next", 0, latencies)
            found[f"{name}, until the next request's token"] = asdict(Spread.of(latencies))
    reports.write(arguments.json, "cancel latency", milliseconds=found)


if __name__ == "__main__":
    main()
