"""Loading with and without repacked weights, and what repacking buys: a prompt and decoding.

llama.cpp repacks weights for the processor's kernels while it loads: more time and memory
then, faster prompts afterwards (``ModelParams.use_extra_bufts``, on by default). Each load is one
of a file that the system has in its cache already.

    python benchmarks/loading.py MODEL [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from side_by_side import reports
from side_by_side.rounds import Spread, interleaved

import headrace
from headrace import EngineParams, ModelParams
from headrace.inspection.speed.streams import Stopwatch

PREFILL, NEW = 256, 32
MEASURES = ("load, ms", f"prompt of {PREFILL}, tokens a second", "decoding, tokens a second")


def measuring(path: str, params: ModelParams) -> Callable[[], tuple[float, ...]]:
    """What loads once and looks at what came of it."""

    def measure() -> tuple[float, ...]:
        began = time.perf_counter()
        engine = EngineParams(n_ctx=1024, n_sequences=1)
        with headrace.load_model(path, params=params, engine=engine) as model:
            loaded = 1000 * (time.perf_counter() - began)
            watch = Stopwatch(model)
            watch.decode(1, 1)
            return loaded, PREFILL / watch.first_token(PREFILL), watch.decode(1, NEW)

    return measure


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    candidates = {
        "repacked": measuring(arguments.model, ModelParams()),
        "as in the file": measuring(arguments.model, ModelParams(use_extra_bufts=False)),
    }
    candidates["repacked"]()
    found = {
        name: [Spread.of(samples) for samples in zip(*rounds, strict=True)]
        for name, rounds in interleaved(candidates, arguments.rounds).items()
    }
    rows = [
        [measure, *(f"{spreads[number].median:.1f}" for spreads in found.values())]
        for number, measure in enumerate(MEASURES)
    ]
    text = reports.table(["weights", *found], rows)
    print(text)
    reports.write(
        arguments.json,
        "loading",
        found={
            name: dict(zip(MEASURES, map(asdict, spreads), strict=True))
            for name, spreads in found.items()
        },
        table=text,
    )


if __name__ == "__main__":
    main()
