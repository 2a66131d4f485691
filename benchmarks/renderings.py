"""Every template that llama.cpp tests itself with, beside jinja2 as transformers sets it up.

    python benchmarks/renderings.py [--only NAME] [--show] [--rounds 5]

Prints a table: in how many of the conversations of ``tests/support/conversations.py`` headrace
and jinja2 give the same text, what the others come from, and what processor time a rendering takes.
headrace's time is that of ``model.render_chat``, in which llama.cpp makes the parser and the
grammar of the answer too; the templates are compiled. ``--show`` prints where texts differ.
"""

from __future__ import annotations

import argparse
import difflib
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jinja2

import headrace
from headrace import HeadraceError, ModelParams

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import chat_templates, renderings, tiny_gguf
from tests.support.conversations import CONVERSATIONS


def seconds(call: Callable[[], object], rounds: int) -> float | None:
    """Of processor time, the median of some calls; None if they fail."""
    taken = []
    for _ in range(rounds):
        begin = time.process_time()
        try:
            call()
        except (HeadraceError, jinja2.TemplateError, TypeError, RecursionError):
            return None
        taken.append(time.process_time() - begin)
    return statistics.median(taken)


def times(model: headrace.Model, name: str, rounds: int) -> tuple[str, str]:
    """Microseconds of a rendering by headrace and by jinja2, the median of the conversations."""
    source = chat_templates.source(name)
    ours, theirs = [], []
    for each in CONVERSATIONS.values():
        data = renderings.given(each)
        pair = (
            seconds(lambda each=each: renderings.shown(model, source, each), rounds),
            seconds(lambda data=data: renderings.expected(source, data), rounds),
        )
        if None not in pair:
            ours.append(pair[0])
            theirs.append(pair[1])
    return worded(ours), worded(theirs)


def worded(taken: list[float]) -> str:
    """A median in microseconds."""
    return f"{statistics.median(taken) * 1e6:,.0f}" if taken else "-"


def differences(outcome: renderings.Outcome) -> list[str]:
    """The pieces that are not the same, each with a little of what is before it."""
    matcher = difflib.SequenceMatcher(None, outcome.expected, outcome.shown, autojunk=False)
    before, after = outcome.expected, outcome.shown
    return [
        f"after {before[max(0, i - 20) : i]!r}: {before[i:j]!r} is {after[k:n]!r}"
        for kind, i, j, k, n in matcher.get_opcodes()
        if kind != "equal"
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="a part of a template's name")
    parser.add_argument("--show", action="store_true", help="print where texts differ")
    parser.add_argument("--rounds", type=int, default=0, help="of each rendering, for the times")
    options = parser.parse_args()
    params = ModelParams(vocab_only=True)
    total: Counter[str] = Counter()
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        print("| template | same | other | µs headrace | µs jinja2 |\n|---|---|---|---|---|")
        for name in chat_templates.names():
            if options.only and options.only not in name:
                continue
            found = {
                key: renderings.compare(model, name, each) for key, each in CONVERSATIONS.items()
            }
            labels = Counter(each.label for each in found.values())
            total += labels
            same = labels.pop("same", 0)
            rest = "; ".join(f"{label} {count}" for label, count in labels.items())
            taken = times(model, name, options.rounds) if options.rounds else ("", "")
            print(f"| {name} | {same} | {rest} | {taken[0]} | {taken[1]} |", flush=True)
            if options.show:
                for key, each in found.items():
                    if each.label not in ("same", "both refuse"):
                        print(f"  {key}: {each.label}", *differences(each)[:5], sep="\n    ")
    print("\n" + "; ".join(f"{label} {count}" for label, count in total.most_common()))


if __name__ == "__main__":
    main()
