"""``headrace bench``: how fast a model runs on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click

import headrace
from headrace.cli.limits import time_limit
from headrace.cli.load import with_options
from headrace.cli.model_options import model_options
from headrace.cli.options import FILE, Option, debug_option, given, json_option
from headrace.cli.progress import progress_bar
from headrace.cli.settings import settings, timeout
from headrace.cli.texts import write_json
from headrace.common import chart
from headrace.common.atomic import place_of, replacing
from headrace.inspection.speed.measuring import measure_speed
from headrace.inspection.speed.plan import SpeedPlan
from headrace.results.speed import Rate, Speed, StreamsSpeed, ThreadsSpeed


@click.command()
@click.argument("model", type=FILE)
@click.option(
    "--streams", type=int, metavar="N", help="Most streams at the same time  [default: 8]."
)
@click.option(
    "--tokens",
    "new_tokens",
    cls=Option,
    names=("new_tokens",),
    type=int,
    metavar="N",
    help="Tokens that each stream decodes  [default: 64].",
)
@click.option(
    "--prompt-tokens", type=int, metavar="N", help="Tokens of the prompt  [default: 512]."
)
@click.option(
    "--others",
    type=int,
    metavar="N",
    help="Processes that compute beside it; 0: none  [default: the processors].",
)
@click.option("--rounds", type=int, metavar="N", help="How often each is measured  [default: 3].")
@click.option("--plot", type=FILE, metavar="FILE", help="Draw the streams into FILE, as SVG.")
@model_options
@json_option
@debug_option
def bench(model: str, plot: str | None, as_json: bool, **plan: Any) -> None:
    """Measure how fast MODEL runs on this machine.

    A prompt; one stream and more at the same time; the same while other processes compute; and
    the best number of threads, unless --threads says one. It takes about a minute with a small
    model, and works the machine hard.
    """
    wanted = SpeedPlan(**given(**plan))
    target = None if plot is None else _target(plot)
    found = _measured(model, wanted)
    if target is not None:
        with replacing(target) as path:
            path.write_text(_drawn(found), encoding="utf-8")
    if as_json:
        best = found.best_threads
        threads = None if best is None else best.n_threads
        write_json({**attrs.asdict(found), "best_threads": threads})
    else:
        click.echo("\n".join(_lines(found)))


def _target(plot: str) -> Path:
    """Where the plot goes, asked before minutes are spent.

    Raises:
        ParamsError: If nothing can be written there.
    """
    place = place_of(plot)
    if not os.access(place.parent, os.W_OK):
        what = "cannot be written to" if place.parent.is_dir() else "is no folder"
        raise headrace.ParamsError(
            f"--plot {plot!r}: {str(place.parent)!r} {what}",
            hint="Create the folder, or choose another.",
        )
    return place


def _measured(reference: str, plan: SpeedPlan) -> Speed:
    params, engine = with_options()
    headrace.backends()  # to find them is none of the model's time

    def load(engine: headrace.EngineParams) -> headrace.Model:
        return headrace.load_model(
            reference, backend=settings().backend, params=params, engine=engine
        )

    with time_limit(timeout(), "measuring"), progress_bar("Measuring", lines=True) as progress:
        return measure_speed(load, plan, engine, progress)


def _lines(found: Speed) -> Iterator[str]:
    yield f"model        {found.model}, {found.backend}"
    yield f"processor    {found.cpu or 'unknown'}, {found.cpus} usable"
    yield f"load         {found.load_seconds:.2f} s"
    yield f"first token  {found.first_token_seconds * 1000:.1f} ms after a short prompt"
    yield f"prefill      {_rate(found.prefill)}, {found.prompt_tokens} tokens"
    yield ""
    yield from ("decode       " + _of_streams(each) for each in found.decode)
    if found.busy:
        yield ""
        yield "beside " + _counted(
            found.others, "other process that computes", "other processes that compute"
        )
        yield from ("decode       " + _of_streams(each) for each in found.busy)
    if found.threads:
        yield ""
        yield "threads, one stream and the prompt"
        yield from map(_of_threads, found.threads)
        yield _advice(found)


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _rate(rate: Rate) -> str:
    return f"{rate.median:8.1f} tokens/s ({rate.low:.1f} to {rate.high:.1f})"


def _of_streams(each: StreamsSpeed) -> str:
    return f"{_rate(each.rate)}, {_counted(each.streams, 'stream', 'streams')}"


def _of_threads(each: ThreadsSpeed) -> str:
    name = "chosen" if each.n_threads is None else str(each.n_threads)
    return f"{name:<12} {_rate(each.decode)}, prompt {each.prefill.median:.1f} tokens/s"


def _advice(found: Speed) -> str:
    best = found.best_threads
    if best is None or best.n_threads is None:
        return "The backend's own choice is the fastest here; --threads is not needed."
    return f"--threads {best.n_threads} was the fastest for one stream here."


def _drawn(found: Speed) -> str:
    busy = {each.streams: each.rate.median for each in found.busy}
    series = [chart.Series("this machine as it is", [each.rate.median for each in found.decode])]
    if busy:
        beside = [busy.get(each.streams) for each in found.decode]
        series.append(
            chart.Series(f"beside {_counted(found.others, 'process', 'processes')}", beside)
        )
    return chart.bars(
        f"{found.model or 'model'}: decoding",
        [str(each.streams) for each in found.decode],
        series,
        x="streams at the same time",
        y="tokens a second, of all streams",
    )
