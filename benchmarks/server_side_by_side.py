"""Many users at once beside llama-server with as many slots, in turns.

Each user sends a prompt and reads its tokens as they come: from headrace in threads of one process,
from llama-server over HTTP. All begin at the same time. Both have default settings, but for the
threads, the number of users and memory enough for all of them.

The prompts are short, long, or long with a common beginning, which one user before has sent.

    python benchmarks/server_side_by_side.py MODEL --native BUILD/bin [--streams 1 8 32]
        [--prompts short long prefix] [--sampling greedy top-k] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from side_by_side import reports
from side_by_side.rounds import Spread, interleaved
from side_by_side.server import serving

import headrace
from headrace import EngineParams, SamplingParams

LENGTHS = {"short": 32, "long": 1000, "prefix": 1000}
OWN = 16
"""Tokens of a prompt behind the common beginning."""
SAMPLING = {
    "greedy": (SamplingParams(temperature=0.0), {"temperature": 0.0}),
    "top-k": (
        SamplingParams(temperature=0.8, top_k=40),
        {"temperature": 0.8, "top_k": 40, "samplers": ["top_k", "temperature"]},
    ),
}

FIELDS = {"total": 1, "decode": 1, "first": 2}
"""Of ``Figures``, and their digits behind the point."""

Ask = Callable[[list[int], Callable[[], None]], None]
"""Sends a prompt, and calls back for each token that comes."""


@dataclass(frozen=True)
class Figures:
    """What one round of one program gave.

    Attributes:
        total: Tokens a second of all users together, their prompts' time included.
        decode: The same from when all have their first token.
        first: Seconds to the first token of a user, in the median.
    """

    total: float
    decode: float
    first: float


def together(ask: Ask, prompts: list[list[int]], new: int) -> Figures:
    """Send prompts at the same time."""
    times: list[list[float]] = [[] for _ in prompts]
    began = time.perf_counter()

    def run(number: int) -> None:
        ask(prompts[number], lambda: times[number].append(time.perf_counter() - began))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if any(len(each) < new for each in times):
        raise RuntimeError(f"tokens are missing: {[len(each) for each in times]} of {new}")
    all_begun, end = max(each[0] for each in times), max(each[-1] for each in times)
    rest = sum(at > all_begun for each in times for at in each)
    firsts = statistics.median(each[0] for each in times)
    return Figures(len(prompts) * new / end, rest / max(end - all_begun, 1e-9), firsts)


@contextlib.contextmanager
def headrace_users(
    model: headrace.Model, sampling: SamplingParams, new: int, common: list[int]
) -> Iterator[Ask]:
    """Users of a model, beside an open session that has the common beginning."""
    with model.open_session() as before:
        if common:
            before.complete(common, max_tokens=0)

        def ask(prompt: list[int], arrived: Callable[[], None]) -> None:
            with model.open_session() as session:
                stream = session.generate(
                    prompt, sampling=sampling, max_tokens=new, ignore_eog=True
                )
                for chunk in stream:
                    for _ in chunk.tokens:
                        arrived()

        yield ask


class Prompts:
    """Prompts that nobody has sent before.

    Args:
        model: Gives the tokens.
        kind: Of ``LENGTHS``.
    """

    def __init__(self, model: headrace.Model, kind: str) -> None:
        self._model = model
        self._length = LENGTHS[kind]
        text = "The quick brown fox jumps over the lazy dog, and then it sleeps. " * 80
        self._text = model.tokenize(text)
        self.common = self._text[: self._length - OWN] if kind == "prefix" else []
        self._made = 0

    def some(self, count: int) -> list[list[int]]:
        """New ones."""
        prompts = []
        for _ in range(count):
            self._made += 1
            own = self._model.tokenize(f"{self._made * 7919 % 100_000} and {self._made}: ")
            prompts.append([*self.common, *own, *self._text][: self._length])
        return prompts


def measure(arguments: argparse.Namespace, kind: str, streams: int, name: str) -> dict[str, Any]:
    """One cell of the table: rounds of both programs by turns."""
    new, threads = arguments.new, arguments.threads
    ours, theirs = SAMPLING[name]
    slot = -(-(LENGTHS[kind] + new + 8) // 256) * 256
    # One more here for the session that keeps the common beginning; its cells are shared.
    engine = EngineParams(
        n_ctx=slot * (streams + 1), n_sequences=streams + 1, n_threads=arguments.our_threads
    )
    options = ("-np", streams, "-c", slot * streams, "-t", threads)
    with (
        headrace.load_model(arguments.model, backend="llamacpp", engine=engine) as model,
        serving(arguments.native, arguments.model, *options) as server,
    ):
        prompts = Prompts(model, kind)

        def ask_server(prompt: list[int], arrived: Callable[[], None]) -> None:
            server.follow(prompt, new, arrived, cache_prompt=True, **theirs)

        with headrace_users(model, ours, new, prompts.common) as ask_headrace:
            askers = {"headrace": ask_headrace, "llama-server": ask_server}
            cell: dict[str, Any] = {"prompts": kind, "sampling": name, "streams": streams}
            label = f"{kind} {name} {streams}:"
            return cell | compared(askers, prompts, streams, arguments, label)


def compared(
    askers: Mapping[str, Ask],
    prompts: Prompts,
    streams: int,
    arguments: argparse.Namespace,
    label: str,
) -> dict[str, Any]:
    """Rounds of both programs by turns: for each field their spreads, and the ratio of medians.

    Args:
        askers: ``headrace`` and ``llama-server``.
        prompts: What is sent.
        streams: Prompts at the same time.
        arguments: The command line's.
        label: What stands before the progress.
    """
    new = arguments.new
    for each in askers.values():  # what both do once; the server gets a common beginning, too
        together(each, prompts.some(1), new)
    found = interleaved(
        {
            program: lambda ask=ask: together(ask, prompts.some(streams), new)
            for program, ask in askers.items()
        },
        arguments.rounds,
        label,
    )
    told: dict[str, Any] = {}
    for field in FIELDS:
        spreads = {
            program: Spread.of([getattr(each, field) for each in figures])
            for program, figures in found.items()
        }
        ratio = spreads["headrace"].median / spreads["llama-server"].median
        told[field] = {"ratio": ratio, **{name: asdict(each) for name, each in spreads.items()}}
    return told


def table(cells: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """A row for each cell: fields with the head of each, and both programs' figures."""
    heads = list(names.values())
    for what in ("t/s", "decode t/s", "first token, s"):
        heads += [f"{what}: headrace", "llama-server", "ratio"]
    rows = [
        [cell[name] for name in names]
        + [text for field, digits in FIELDS.items() for text in shown(cell[field], digits)]
        for cell in cells
    ]
    return reports.table(heads, rows)


def shown(figures: dict[str, Any], digits: int) -> list[str]:
    """Both programs' medians and their ratio."""
    medians = [f"{figures[name]['median']:.{digits}f}" for name in ("headrace", "llama-server")]
    return [*medians, f"{figures['ratio']:.2f}"]


def main() -> None:
    """Print a line for each kind of prompts, way of sampling and number of users."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--native", type=Path, required=True, help="the folder of llama-server")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--prompts", nargs="+", choices=LENGTHS, default=list(LENGTHS))
    parser.add_argument("--sampling", nargs="+", choices=SAMPLING, default=["greedy"])
    parser.add_argument("--new", type=int, default=64, help="tokens for each user")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of llama-server")
    parser.add_argument("--our-threads", type=int, help="of headrace; it finds out by default")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    cells = []
    for kind, name, streams in itertools.product(
        arguments.prompts, arguments.sampling, arguments.streams
    ):
        cells.append(measure(arguments, kind, streams, name))
        # After each, because all of them take long.
        reports.write(arguments.json, "server_side_by_side", cells=cells)
    print(table(cells, {"prompts": "prompts", "sampling": "sampling", "streams": "users"}))


if __name__ == "__main__":
    main()
