"""What a token costs beside the model's computing: a tiny model, one thread, microseconds a token.

llama-bench and llama-batched-bench decode, without sampling and text; headrace decodes,
samples greedily, makes text, looks for stop strings that never come, and hands each token to
its reader: one stream, and many by threads and by tasks. All begin with one token and a new
memory, so that steps are equal. The whole generation counts, its beginning included.

    python benchmarks/overhead.py --native BUILD/bin [--rounds 7] [--tokens 512] [--streams 8 16]

Two figures each: of the clock, and of the processor, which others on the machine disturb less.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio
import attrs
from side_by_side import reports
from side_by_side.native import Native
from side_by_side.rounds import Spread, interleaved, progress

import headrace
from headrace import EngineParams, SamplingParams
from headrace.testing import tiny_gguf

GREEDY = SamplingParams(temperature=0.0)
STOPS = ("\n\nUser:", "<|end|>", "###")
"""What stop strings are in use; the model's text is noise, so they never come."""


@dataclass(frozen=True)
class Cost:
    """Microseconds a token.

    Attributes:
        wall: Of the clock.
        cpu: Of the processor, of all threads together.
    """

    wall: float
    cpu: float


class Stopwatch:
    """Times a number of tokens by both clocks of this process."""

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens
        self.cost = Cost(0.0, 0.0)

    def __enter__(self) -> Stopwatch:
        gc.collect()
        self.start()
        return self

    def start(self) -> None:
        """Begin, here and not where the block began."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *raised: object) -> None:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        self.cost = Cost(1e6 * wall / self._tokens, 1e6 * cpu / self._tokens)


def begin(session: headrace.Session, tokens: int, stop: tuple[str, ...]) -> headrace.TokenStream:
    """A stream from the first token on."""
    return session.generate(
        [tiny_gguf.BOS], sampling=GREEDY, max_tokens=tokens, ignore_eog=True, stop=stop
    )


class Ours:
    """headrace's side: a model for each number of streams.

    Args:
        model: The tiny model's file.
        tokens: Of each stream.
        shared: Whether all streams share the memory, or each has its part of it.
    """

    def __init__(self, model: str, tokens: int, *, shared: bool) -> None:
        self._model, self._tokens, self._shared = model, tokens, shared
        self._opened = contextlib.ExitStack()

    def close(self) -> None:
        """Give the models back."""
        self._opened.close()

    def load(self, streams: int) -> headrace.Model:
        """A model with room for so many streams."""
        engine = EngineParams(n_ctx=cells(streams, self._tokens), n_sequences=streams, n_threads=1)
        if "divided" in attrs.fields_dict(EngineParams):
            engine = attrs.evolve(engine, divided=not self._shared)
        return self._opened.enter_context(
            headrace.load_model(self._model, backend="llamacpp", engine=engine)
        )

    def alone(self, stop: tuple[str, ...], *, collect: bool = False) -> Callable[[], Cost]:
        """One stream whose tokens are read one by one, or collected by ``read()``."""
        model = self.load(1)

        def measure() -> Cost:
            with model.open_session() as session, Stopwatch(self._tokens) as watch:
                stream = begin(session, self._tokens, stop)
                if collect:
                    stream.read()
                else:
                    for _ in stream:
                        pass
            return watch.cost

        return measure

    def task(self) -> Callable[[], Cost]:
        """One stream read by a task."""
        return self.tasks(1)

    def threads(self, streams: int) -> Callable[[], Cost]:
        """So many threads, each with its stream."""
        model = self.load(streams)

        def measure() -> Cost:
            watch = Stopwatch(streams * self._tokens)
            barrier = threading.Barrier(streams, action=watch.start)

            def read() -> None:
                with model.open_session() as session:
                    barrier.wait()
                    for _ in begin(session, self._tokens, STOPS):
                        pass

            threads = [threading.Thread(target=read) for _ in range(streams)]
            with watch:
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            return watch.cost

        return measure

    def tasks(self, streams: int) -> Callable[[], Cost]:
        """So many tasks of one event loop, each with its stream."""
        model = self.load(streams)

        async def run() -> Cost:
            watch = Stopwatch(streams * self._tokens)

            async def read(session: headrace.Session) -> None:
                async for _ in begin(session, self._tokens, STOPS):
                    pass

            async with contextlib.AsyncExitStack() as opened:
                sessions = [
                    await opened.enter_async_context(await model.aopen_session())
                    for _ in range(streams)
                ]
                with watch:
                    async with anyio.create_task_group() as group:
                        for session in sessions:
                            group.start_soon(read, session)
            return watch.cost

        return lambda: anyio.run(run)


class Theirs:
    """The native programs' side.

    Args:
        native: The programs.
        model: The tiny model's file.
        tokens: Of each stream.
        shared: Whether all streams share the memory.
    """

    def __init__(self, native: Native, model: str, tokens: int, *, shared: bool) -> None:
        self._native, self._model, self._tokens, self._shared = native, model, tokens, shared

    def alone(self) -> Cost:
        """llama-bench; the processor's time is that of a run less that of one of one token."""
        repeats = 3
        tests, cpu = self._bench(self._tokens, repeats)
        _, setup = self._bench(1, 1)
        nanoseconds = min(tests[0]["samples_ns"])
        # A warm-up of one token, too.
        return Cost(
            nanoseconds / 1e3 / self._tokens, 1e6 * (cpu - setup) / (self._tokens * repeats)
        )

    def _bench(self, tokens: int, repeats: int) -> tuple[list[dict[str, object]], float]:
        return self._native.bench(self._model, "-p", 0, "-n", tokens, "-t", 1, "-r", repeats)

    def streams(self, streams: int) -> Callable[[], Cost]:
        """llama-batched-bench."""

        def measure() -> Cost:
            tests, cpu = self._batched(streams, self._tokens)
            _, setup = self._batched(streams, 1)
            decoded = streams * self._tokens
            return Cost(1e6 * tests[0]["t_tg"] / decoded, 1e6 * (cpu - setup) / decoded)

        return measure

    def _batched(self, streams: int, tokens: int) -> tuple[list[dict[str, float]], float]:
        return self._native.batched_bench(
            self._model, [streams], 1, tokens,
            "-c", cells(streams, self._tokens), "-t", 1, *(["-kvu"] if self._shared else []),
        )  # fmt: skip


def cells(streams: int, tokens: int) -> int:
    """Tokens that the memory must hold: a multiple of what is padded to for each stream."""
    return streams * (-(-(tokens + 2) // 256) * 256)


def candidates(
    arguments: argparse.Namespace, ours: Ours, model: str
) -> Iterator[tuple[str, Callable[[], Cost]]]:
    """What is measured, by name."""
    only_ours = arguments.native is None
    if not only_ours:
        theirs = Theirs(Native(arguments.native), model, arguments.tokens, shared=arguments.shared)
        yield "llama-bench", theirs.alone
        for streams in arguments.streams:
            yield f"llama-batched-bench, {streams}", theirs.streams(streams)
    yield "one stream, collected", ours.alone(STOPS, collect=True)
    yield "one stream", ours.alone(STOPS)
    yield "one stream, no stop strings", ours.alone(())
    yield "one task", ours.task()
    for streams in arguments.streams:
        yield f"{streams} threads", ours.threads(streams)
        yield f"{streams} tasks", ours.tasks(streams)


def reference(name: str) -> str:
    """The native measurement that a row of headrace is compared to; a native one's own name."""
    number = name.split()[0]
    if number.startswith("llama-"):
        return name
    return f"llama-batched-bench, {number}" if number.isdigit() else "llama-bench"


def main() -> None:
    """Interleaved rounds, then a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--native", type=Path, help="folder of the native programs")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=512, help="of each stream")
    parser.add_argument("--streams", type=int, nargs="*", default=[8, 16])
    parser.add_argument("--shared", action="store_true", help="one memory for all streams")
    parser.add_argument("--only", nargs="*", help="rows whose names contain one of these")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()

    model = str(tiny_gguf.path("attention"))
    ours = Ours(model, arguments.tokens, shared=arguments.shared)
    with contextlib.closing(ours):
        chosen = {
            name: measure
            for name, measure in candidates(arguments, ours, model)
            if not arguments.only or any(each in name for each in arguments.only)
        }
        for name, measure in chosen.items():
            progress(f"warming up: {name}")
            measure()
        found = interleaved(chosen, arguments.rounds, "overhead:")
    wall = {name: Spread.of([cost.wall for cost in costs]) for name, costs in found.items()}
    cpu = {name: Spread.of([cost.cpu for cost in costs]) for name, costs in found.items()}
    print(reports.table(HEADS, (row(name, wall, cpu) for name in found)))
    reports.write(
        arguments.json,
        "overhead",
        microseconds={
            name: {"wall": asdict(wall[name]), "cpu": asdict(cpu[name])} for name in found
        },
    )


HEADS = ("µs a token", "median", "least", "above native", "CPU", "CPU least", "above native")


def row(name: str, wall: dict[str, Spread], cpu: dict[str, Spread]) -> list[str]:
    """A line of the table; what is above the native program by the least, as by the processor."""
    native = reference(name)
    told = [name]
    for spreads in (wall, cpu):
        mine = spreads[name]
        told += [f"{mine.median:.1f}", f"{mine.least:.1f}"]
        above = mine.least - spreads[native].least if native in spreads else None
        told.append("" if above is None or native == name else f"{above:+.1f}")
    return told


if __name__ == "__main__":
    main()
