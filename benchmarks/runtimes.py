"""Runtimes side by side: a prompt, one generation of 128 and of 2,048 tokens, and many streams.

llama-bench and llama-batched-bench decode without sampling and text; llama-cpp-python,
xllamacpp and headrace give a user streamed text, greedily. All have the same number of threads,
but headrace, which finds its own. Each runtime stays loaded in a process of its own and they are
measured by turns. llama-cpp-python has no way to run several streams of a model at once.

    python benchmarks/runtimes.py MODEL --native BUILD/bin [--llama-cpp-python VENV/bin/python]
        [--xllamacpp VENV/bin/python] [--rounds 3] [--long-rounds 1] [--streams 4 8 16]
        [--json FILE] [--plot FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from side_by_side import reports
from side_by_side.native import Native
from side_by_side.rounds import Spread, interleaved
from side_by_side.workers import Worker, opened

from headrace.common import chart

PREFILL = 512
SHORT, LONG = 128, 2048
PROMPT, NEW = 128, 64
"""Tokens of each of many streams."""
OURS = "headrace"
PEERS = ("llama-cpp-python", "xllamacpp")

Measure = Callable[[], float]


class Programs:
    """llama.cpp's own programs."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._native = Native(arguments.native)
        self._model, self._threads = arguments.model, arguments.threads

    def bench(self, kind: str, tokens: int) -> float:
        """llama-bench: tokens a second of ``-p`` or ``-n``."""
        tests, _ = self._native.bench(
            self._model, "-p", 0, "-n", 0, kind, tokens, "-r", 1, "-t", self._threads
        )
        return float(tests[0]["avg_ts"])

    def streams(self, streams: int) -> float:
        """llama-batched-bench's decoding."""
        cells = streams * (PROMPT + NEW + 64)
        tests, _ = self._native.batched_bench(
            self._model, [streams], PROMPT, NEW, "-c", max(cells, 4096), "-t", self._threads
        )
        return float(tests[0]["speed_tg"])


def of_programs(arguments: argparse.Namespace) -> Iterator[tuple[str, str, Measure]]:
    """Work, name and measurement of the native programs."""
    if arguments.native is None:
        return
    programs = Programs(arguments)
    yield "prefill", "llama-bench", lambda: programs.bench("-p", PREFILL)
    yield "short", "llama-bench", lambda: programs.bench("-n", SHORT)
    for count in arguments.streams:
        yield f"{count}", "llama-batched-bench", lambda count=count: programs.streams(count)


def of_worker(
    name: str, worker: Worker, arguments: argparse.Namespace
) -> Iterator[tuple[str, str, Measure]]:
    """Work, name and measurement of a runtime."""
    yield "prefill", name, lambda: worker.call("prefill", tokens=PREFILL)["rate"]
    yield "short", name, lambda: worker.call("complete", new=SHORT)["rate"]
    if name != "xllamacpp":
        yield "long", name, lambda: worker.call("complete", new=LONG)["rate"]
    for count in arguments.streams:
        if name != "llama-cpp-python":
            yield f"{count}", name, lambda count=count: _decode(worker, count)


def _decode(worker: Worker, streams: int) -> float:
    return float(worker.call("decode", streams=streams, seconds=2.0, prompt=PROMPT)["rate"])


def workers(
    arguments: argparse.Namespace, entered: contextlib.ExitStack
) -> Iterator[tuple[str, Worker]]:
    """The runtimes that stay loaded."""
    room = max(4096, max(arguments.streams, default=1) * 512)
    most = max(arguments.streams, default=1)

    def add(kind: str, python: str | None, **more: object) -> Worker:
        return entered.enter_context(opened(kind, python, model=arguments.model, **more))

    yield OURS, add("headrace", None, threads=None, streams=most, n_ctx=room)
    if arguments.llama_cpp_python is not None:
        python = arguments.llama_cpp_python
        yield (
            "llama-cpp-python",
            add("llama_cpp_python", python, threads=arguments.threads, streams=1, n_ctx=4096),
        )
    if arguments.xllamacpp is not None:
        python = arguments.xllamacpp
        yield (
            "xllamacpp",
            add("xllamacpp", python, threads=arguments.threads, streams=most, n_ctx=room),
        )


Found = dict[str, dict[str, list[float]]]


def measured(arguments: argparse.Namespace) -> Found:
    """Rates by work and name."""
    by_work: dict[str, dict[str, Measure]] = {}
    found: Found = {}
    with contextlib.ExitStack() as entered:
        everyone = list(of_programs(arguments))
        for name, worker in workers(arguments, entered):
            everyone += of_worker(name, worker, arguments)
        for work, name, measure in everyone:
            by_work.setdefault(work, {})[name] = measure
        for work, candidates in by_work.items():
            rounds = arguments.long_rounds if work == "long" else arguments.rounds
            if rounds:
                found[work] = interleaved(candidates, rounds, work)
    return found


def label(work: str) -> str:
    """What a kind of work is called in the table."""
    return {
        "prefill": f"a prompt of {PREFILL} tokens",
        "short": f"one generation of {SHORT} tokens",
        "long": f"one generation of {LONG} tokens",
    }.get(work, f"{work} streams")


def told(found: Found) -> str:
    """The table: medians, and headrace's ratio to each."""
    names = list(dict.fromkeys(name for by in found.values() for name in by))
    names.sort(key=lambda name: name != OURS)
    rows = []
    for work, by in found.items():
        ours = statistics.median(by[OURS])
        row = [label(work)]
        for name in names:
            rate = statistics.median(by[name]) if name in by else None
            ratio = "" if rate is None or name == OURS else f" ({ours / rate:.2f})"
            row.append("" if rate is None else f"{rate:.1f}{ratio}")
        rows.append(row)
    return reports.table(["tokens a second (headrace's ratio to it)", *names], rows)


def plot(found: Found) -> str:
    """A picture of the streams."""
    works = [work for work in found if work.isdigit()]
    single = {**found.get("short", {})}
    places = (["1"] if single else []) + works
    names = list(dict.fromkeys(name for work in works for name in found[work]))
    names.sort(key=lambda name: name != OURS)
    series = []
    for name in names:
        alone = single.get("llama-bench" if name == "llama-batched-bench" else name)
        values = [None if alone is None else statistics.median(alone)] if single else []
        values += [
            statistics.median(found[work][name]) if name in found[work] else None for work in works
        ]
        series.append(chart.Series(name, values))
    return chart.bars(
        "Streams at the same time", places, series, x="streams", y="tokens a second, of all"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--native", type=Path, help="folder of the native programs")
    parser.add_argument("--llama-cpp-python", metavar="PYTHON", help="interpreter that has it")
    parser.add_argument("--xllamacpp", metavar="PYTHON", help="interpreter that has it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long-rounds", type=int, default=1, help="of the long generation")
    parser.add_argument("--streams", type=int, nargs="*", default=[4, 8, 16])
    parser.add_argument("--threads", type=int, default=2, help="of all but headrace")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--plot", type=Path, help="folder for the picture")
    arguments = parser.parse_args()
    found = measured(arguments)
    print(told(found))
    if arguments.plot is not None:
        arguments.plot.mkdir(parents=True, exist_ok=True)
        (arguments.plot / "runtimes-streams.svg").write_text(plot(found), encoding="utf-8")
    reports.write(
        arguments.json,
        "runtimes",
        tokens_a_second={
            work: {name: asdict(Spread.of(rates)) for name, rates in by.items()}
            for work, by in found.items()
        },
        table=told(found),
    )


if __name__ == "__main__":
    main()
