"""What readers cost who do not read: memory and steps, while others go on at full speed.

Streams without an end are begun and their readers stop after the first token; another stream
is read as fast as it comes. What the process has in memory may not grow with the time, and how
far the stopped ones are ahead of their readers is bounded by ``EngineParams.lookahead``.

    python benchmarks/slow_reader.py MODEL [--readers 7] [--tokens 400] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import time
from pathlib import Path

from side_by_side import reports

import headrace
from headrace import EngineParams, SamplingParams

GREEDY = SamplingParams(temperature=0.0)


def resident() -> int:
    """KiB of memory that this process has now (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise RuntimeError("the system does not tell")


def endless(
    opened: contextlib.ExitStack, model: headrace.Model, number: int
) -> headrace.TokenStream:
    """A stream that ends with its context."""
    session = opened.enter_context(model.open_session())
    prompt = f"{number}: "
    return opened.enter_context(session.generate(prompt, sampling=GREEDY, ignore_eog=True))


def main() -> None:
    """Print what it comes to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--readers", type=int, default=7, help="that stop reading")
    parser.add_argument("--tokens", type=int, default=400, help="of the one that goes on")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    engine = EngineParams(
        n_ctx=256 * (arguments.readers + 1) + 2 * arguments.tokens,
        n_sequences=arguments.readers + 1,
    )
    with (
        headrace.load_model(arguments.model, engine=engine) as model,
        contextlib.ExitStack() as all_,
    ):
        stopped = [endless(all_, model, number) for number in range(arguments.readers)]
        for stream in stopped:
            next(stream)
        reader = endless(all_, model, arguments.readers)
        for _ in range(arguments.tokens // 4):
            next(reader)
        before, began = resident(), time.perf_counter()
        for _ in range(arguments.tokens):
            next(reader)
        rate = arguments.tokens / (time.perf_counter() - began)
        grown = resident() - before
        ahead = max(stream.statistics().buffered_tokens for stream in stopped)
    rows = [
        (
            f"memory grown in {arguments.tokens} tokens beside {arguments.readers} stopped, KiB",
            grown,
        ),
        ("most tokens that a stopped stream is ahead of its reader", ahead),
        ("tokens a second of the one that is read", f"{rate:.1f}"),
    ]
    text = reports.table(["a slow reader", ""], rows)
    print(text)
    reports.write(
        arguments.json, "slow reader", grown_kib=grown, ahead=ahead, rate=rate, table=text
    )


if __name__ == "__main__":
    main()
