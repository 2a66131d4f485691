"""Prompt lookup beside the same sessions without, interleaved: on texts that quote, and on others.

The prompts of some tasks end where a model that goes on will write a part of them again. With
``--streams`` as many sessions do the task at once, and share their steps. Ratios are those
of one round, so that what else the machine does weighs on both alike; their median is printed. How
far speculation writes the tokens of plain decoding is counted too: only reproducible sessions of
one width promise it, and if those differ the script ends with an error.

    python benchmarks/speculation.py MODEL [--rounds 3] [--threads 2] [--tokens 96] [--draft 7]
        [--streams 1] [--tasks passage,free] [--kinds plain,lookup,auto]
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import attrs

import headrace
from headrace import EngineParams, PromptLookup, SamplingParams, SessionParams

PASSAGE = (
    "The mill stands at the end of the valley, where the river bends to the south. Its wheel is of "
    "oak, twelve feet across, and was built in 1786 by two brothers from the next village. Water "
    "comes to it through a channel with a gate at its head, which the miller opens at dawn and "
    "closes at dusk. In dry summers the wheel stands still for weeks; in spring it turns day and "
    "night. The stones were brought by boat from the coast, and each of them weighs a ton."
)
LIST = "\n".join(
    f"{number}. {name}: {count} {unit}"
    for number, (name, count, unit) in enumerate(
        [
            ("flour", 500, "grams"),
            ("butter", 250, "grams"),
            ("eggs", 4, "pieces"),
            ("cherries", 750, "grams"),
            ("sugar", 180, "grams"),
            ("cinnamon", 2, "spoons"),
            ("almonds", 100, "grams"),
        ],
        start=1,
    )
)
CODE = """def total(orders, shop):
    result = 0
    for order in orders:
        if order.shop == shop and not order.cancelled:
            result += order.price * order.count
    return round(result, 2) if shop.rounds else result
"""
TASKS = {
    "passage": f"{PASSAGE}\n\nThe text again, word for word:\n\n{PASSAGE[:60]}",
    "list": f"For the cake:\n\n{LIST}\n\nThe same list once more:\n\n{LIST[:40]}",
    "code": f"The function, as it is:\n\n{CODE}\n\nThe same with `shop` renamed to `store`:\n\n"
    + CODE[:40].replace("shop", "store"),
    "json": 'Orders as JSON.\n\nAnna, Bern: 3 cakes. => {"name": "Anna", "city": "Bern", "item": '
    '"cakes", "count": 3}\nPaul, Rome: 5 breads. => {"name": "Paul", "city": "Rome", "item": '
    '"breads", "count": 5}\nMary, Oslo: 2 pies. => {"name":',
    "chat": "User: What should I look at when I buy a used bicycle?\nAssistant: ",
    "free": "A letter from the miller to his sister, written in the autumn of 1786:\n\n",
}
"""The last two quote nothing: what speculation costs where it does not pay."""
GREEDY = SamplingParams(temperature=0.0)


@attrs.frozen
class Measured:
    """What the streams of one task came to."""

    seconds: float
    done: tuple[headrace.Completion, ...]

    @property
    def rate(self) -> float:
        """Tokens a second of all streams, prompts and drafting included."""
        return sum(len(each.tokens) for each in self.done) / self.seconds


def measure(
    model: headrace.Model, params: SessionParams, prompt: str, tokens: int, streams: int
) -> Measured:
    """Generations in sessions of their own, after their prompts; a thread reads each."""
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(model.open_session(params)) for _ in range(streams)]
        for session in sessions:
            session.complete(prompt, max_tokens=0)

        def write(session: headrace.Session) -> headrace.Completion:
            return session.complete(None, sampling=GREEDY, max_tokens=tokens, ignore_eog=True)

        with ThreadPoolExecutor(streams) as pool:
            began = time.perf_counter()
            done = tuple(pool.map(write, sessions))
            return Measured(time.perf_counter() - began, done)


def agreement(left: headrace.Completion, right: headrace.Completion) -> int:
    """How many tokens are the same, from the beginning."""
    pairs = enumerate(zip(left.tokens, right.tokens, strict=True))
    return next((at for at, (a, b) in pairs if a != b), len(left.tokens))


def compare(
    model: headrace.Model, kinds: dict[str, SessionParams], prompt: str, given: argparse.Namespace
) -> bool:
    """Measure one task; whether the reproducible sessions of one width agree."""
    rounds = [
        {
            kind: measure(model, params, prompt, given.tokens, given.streams)
            for kind, params in kinds.items()
        }
        for _ in range(given.rounds)
    ]
    last = rounds[-1]
    for kind, measured in last.items():
        ratios = sorted(each[kind].rate / each["plain"].rate for each in rounds)
        timings = [each.timings for each in measured.done]
        print(
            f"  {kind:22} {statistics.median(each[kind].rate for each in rounds):7.1f} t/s  "
            f"{statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})  "
            f"{sum(each.accepted_tokens for each in timings):3} of "
            f"{sum(each.drafted_tokens for each in timings):3} accepted  "
            f"{agreement(measured.done[0], last['plain'].done[0]):3} of {given.tokens} as plain",
            flush=True,
        )
    exact = [each.done[0].tokens for kind, each in last.items() if "of width" in kind]
    return all(tokens == exact[0] for tokens in exact)


def main() -> None:
    """Interleave the kinds of session and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--draft", type=int, default=7)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--kinds", help="some of those that are printed, with plain; all if left")
    given = parser.parse_args()
    lookup = PromptLookup(max_draft=given.draft)
    width = -(-(given.draft + 1) // 4) * 4
    kinds = {
        "plain": SessionParams(),
        "auto": SessionParams(speculate="auto"),
        "lookup": SessionParams(speculate=lookup),
        "reproducible": SessionParams(reproducible=True),
        f"of width {width}": SessionParams(reproducible=True, decode_width=width),
        f"lookup of width {width}": SessionParams(reproducible=True, speculate=lookup),
    }
    if given.kinds:
        kinds = {kind: kinds[kind] for kind in given.kinds.split(",")}
    engine = EngineParams(
        n_ctx=1024 * given.streams, n_threads=given.threads, n_sequences=given.streams
    )
    agree = True
    with headrace.load_model(given.model, engine=engine) as model:
        for task in given.tasks.split(","):
            print(task)
            agree = compare(model, kinds, TASKS[task], given) and agree
    if not agree:
        raise SystemExit("reproducible sessions of one width wrote DIFFERENT tokens")


if __name__ == "__main__":
    main()
