"""A busy machine: tokens a second while other processes compute.

One greedy stream, eight of them, and a prefill, while 0, 1, 2, 4, 8 other processes compute: by
llama-bench and llama-batched-bench (OpenMP), by llama-cpp-python, and by headrace with the
number of threads that it finds itself and with fixed ones. In each round everyone is measured
beside the same others, by turns. Ratios are of medians: headrace's own choice to the best of
the fixed numbers, and to the faster of the peers.

    python benchmarks/busy.py MODEL --native BUILD/bin --llama-cpp-python VENV/bin/python
        [--others 0 1 2 4 8] [--rounds 3] [--seconds 1.5] [--work stream streams prefill]
        [--json FILE] [--plot FOLDER] [--also NAME=PYTHON]

``--also`` adds the headrace of another environment, with its default: an older one, say.
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
from headrace.inspection.speed.others import computing

STREAMS = 8
PREFILL = 256
DECODED = {0: 48, 1: 32, 2: 24, 4: 12}
"""Tokens that llama-bench decodes beside so many others; it gets slow, and cannot be stopped."""
FEWEST = 4
N_CTX = 8192
OURS = "headrace"
"""headrace's own choice of threads."""

Measure = Callable[[], float]


class Programs:
    """What llama.cpp's programs measure, each time in a process that loads the model.

    Args:
        native: The programs.
        model: The model's file.
        threads: Threads that they use.
    """

    def __init__(self, native: Native, model: str, threads: int) -> None:
        self._native, self._model, self._threads = native, model, threads

    def stream(self, others: int) -> float:
        """llama-bench's decoding."""
        return self._bench("-p", 0, "-n", DECODED.get(others, FEWEST))

    def prefill(self, others: int) -> float:
        """llama-bench's prompt, beside many others without another one to warm up."""
        return self._bench("-p", PREFILL, "-n", 0, *(["--no-warmup"] if others > 2 else []))

    def _bench(self, *arguments: object) -> float:
        tests, _ = self._native.bench(self._model, *arguments, "-r", 1, "-t", self._threads)
        return float(tests[0]["avg_ts"])

    def streams(self, others: int) -> float:
        """llama-batched-bench's decoding."""
        tests, _ = self._native.batched_bench(
            self._model, [STREAMS], 16, max(FEWEST, DECODED.get(others, FEWEST) // 2),
            "-c", 2048, "-t", self._threads,
        )  # fmt: skip
        return float(tests[0]["speed_tg"])


def of_worker(worker: Worker, work: str, seconds: float) -> Measure:
    """What measures one kind of work once."""
    if work == "prefill":
        return lambda: worker.call("prefill", tokens=PREFILL, seconds=seconds / 2)["rate"]
    streams = 1 if work == "stream" else STREAMS
    return lambda: worker.call("decode", streams=streams, seconds=seconds)["rate"]


class Field:
    """Everyone who is measured.

    Args:
        arguments: The command line's.
        entered: Where the workers are ended.
    """

    def __init__(self, arguments: argparse.Namespace, entered: contextlib.ExitStack) -> None:
        self._arguments = arguments
        self._programs = None
        if arguments.native is not None:
            self._programs = Programs(Native(arguments.native), arguments.model, arguments.threads)
        self._workers: dict[str, Worker] = {}

        def add(
            name: str, kind: str, python: str | None, threads: int | None, streams: int
        ) -> None:
            self._workers[name] = entered.enter_context(
                opened(
                    kind,
                    python,
                    model=arguments.model,
                    threads=threads,
                    streams=streams,
                    n_ctx=N_CTX,
                )
            )

        self.fixed = [f"{OURS}, {number} thread{'s'[: number - 1]}" for number in arguments.fixed]
        if arguments.llama_cpp_python is not None:
            python = arguments.llama_cpp_python
            add("llama-cpp-python", "llama_cpp_python", python, arguments.threads, 1)
        add(OURS, "headrace", None, None, STREAMS)
        for name, number in zip(self.fixed, arguments.fixed, strict=True):
            add(name, "headrace", None, number, STREAMS)
        for name, python in (each.split("=", 1) for each in arguments.also):
            add(name, "headrace", python, None, STREAMS)

    def candidates(self, work: str, others: int) -> Iterator[tuple[str, Measure]]:
        """Who does a kind of work, and how it is measured."""
        if self._programs is not None:
            program = "llama-batched-bench" if work == "streams" else "llama-bench"
            measure = getattr(self._programs, work)
            yield program, lambda: measure(others)
        for name, worker in self._workers.items():
            # It does one completion after the other: eight are no faster than one.
            if not (name == "llama-cpp-python" and work == "streams"):
                yield name, of_worker(worker, work, self._arguments.seconds)


Found = dict[str, dict[int, list[float]]]
"""Rates by name and number of other processes."""


def measured(field: Field, work: str, arguments: argparse.Namespace) -> Found:
    """The rates of one kind of work."""
    found: Found = {}
    for number in range(arguments.rounds):
        for others in arguments.others:
            label = f"{work}, {others} others, round {number + 1} of {arguments.rounds}:"
            with computing(others):
                once = interleaved(dict(field.candidates(work, others)), 1, label, number)
            for name, (rate,) in once.items():
                found.setdefault(name, {}).setdefault(others, []).append(rate)
    return found


def told(found: Found, fixed: list[str], others: list[int]) -> str:
    """The table of one kind of work, with headrace's ratios below."""
    medians = {
        name: {number: statistics.median(rates) for number, rates in by.items()}
        for name, by in found.items()
    }
    rows = [[name, *(f"{by[number]:.1f}" for number in others)] for name, by in medians.items()]
    known = [name for name in fixed if name in medians]
    peers = [name for name in medians if name.startswith("llama")]
    for label, names in (("of the best fixed number", known), ("of the faster peer", peers)):
        if names and OURS in medians:
            best = {number: max(medians[name][number] for name in names) for number in others}
            ratios = (f"{medians[OURS][number] / best[number]:.2f}" for number in others)
            rows.append([f"{OURS}: {label}", *ratios])
    return reports.table(["tokens a second, others:", *others], rows)


def plot(found: Found, others: list[int], title: str) -> str:
    """A picture of one kind of work."""
    series = [
        chart.Series(name, [statistics.median(by[number]) for number in others])
        for name, by in sorted(found.items(), key=lambda each: each[0] != OURS)
    ]
    return chart.lines(
        title,
        [str(number) for number in others],
        series,
        x="other processes that compute",
        y="tokens a second",
        logarithmic=True,
    )


TITLES = {
    "stream": "One stream beside other processes",
    "streams": f"{STREAMS} streams beside other processes",
    "prefill": f"A prompt of {PREFILL} tokens beside other processes",
}


def main() -> None:
    """A table for each kind of work."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--native", type=Path, help="folder of the native programs")
    parser.add_argument("--llama-cpp-python", metavar="PYTHON", help="interpreter that has it")
    parser.add_argument("--also", nargs="*", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--others", type=int, nargs="*", default=[0, 1, 2, 4, 8])
    parser.add_argument("--fixed", type=int, nargs="*", default=[1, 2], help="numbers of threads")
    parser.add_argument("--threads", type=int, default=2, help="of the peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--work", nargs="*", default=list(TITLES), choices=list(TITLES))
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--plot", type=Path, help="folder for a picture of each kind of work")
    arguments = parser.parse_args()
    every: dict[str, Found] = {}
    with contextlib.ExitStack() as entered:
        field = Field(arguments, entered)
        for work in arguments.work:
            every[work] = measured(field, work, arguments)
            print(f"{TITLES[work]}\n\n{told(every[work], field.fixed, arguments.others)}\n")
            if arguments.plot is not None:
                picture = plot(every[work], arguments.others, TITLES[work])
                arguments.plot.mkdir(parents=True, exist_ok=True)
                (arguments.plot / f"busy-{work}.svg").write_text(picture, encoding="utf-8")
    rates = {
        work: {
            name: {number: asdict(Spread.of(rates)) for number, rates in by.items()}
            for name, by in found.items()
        }
        for work, found in every.items()
    }
    reports.write(arguments.json, "busy", fixed=field.fixed, tokens_a_second=rates)


if __name__ == "__main__":
    main()
