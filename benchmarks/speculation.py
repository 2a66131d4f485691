"""Prompt lookup on texts that quote their prompt, beside the same session without, interleaved.

Each task's prompt ends where a model that goes on will write a part of it again. Ratios are those
of one round, so that what else the machine does weighs on both alike; their median is printed. How
far speculation writes the tokens of plain decoding is counted too: only reproducible sessions of
one width promise it, and if those differ the script ends with an error.

    python benchmarks/speculation.py MODEL [--rounds 3] [--threads 2] [--tokens 96] [--draft 7]
"""

from __future__ import annotations

import argparse
import statistics

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
TASKS = {
    "passage": f"{PASSAGE}\n\nThe text again, word for word:\n\n{PASSAGE[:60]}",
    "list": f"For the cake:\n\n{LIST}\n\nThe same list once more:\n\n{LIST[:40]}",
    "free": "A letter from the miller to his sister, written in the autumn of 1786:\n\n",
}
"""The last one quotes nothing: what speculation costs where it does not pay."""
GREEDY = SamplingParams(temperature=0.0)


def measure(
    model: headrace.Model, params: SessionParams, prompt: str, tokens: int
) -> headrace.Completion:
    """One generation in a session of its own."""
    with model.open_session(params) as session:
        return session.complete(prompt, sampling=GREEDY, max_tokens=tokens, ignore_eog=True)


def rate(done: headrace.Completion) -> float:
    """Tokens a second, drafting included."""
    timings = done.timings
    return timings.decode_tokens / (timings.decode_seconds + timings.draft_seconds)


def agreement(left: headrace.Completion, right: headrace.Completion) -> int:
    """How many tokens are the same, from the beginning."""
    pairs = enumerate(zip(left.tokens, right.tokens, strict=True))
    return next((at for at, (a, b) in pairs if a != b), len(left.tokens))


def compare(
    model: headrace.Model, kinds: dict[str, SessionParams], prompt: str, given: argparse.Namespace
) -> bool:
    """Measure one task; whether the reproducible sessions of one width agree."""
    rounds = [
        {kind: measure(model, params, prompt, given.tokens) for kind, params in kinds.items()}
        for _ in range(given.rounds)
    ]
    last = rounds[-1]
    for kind, done in last.items():
        ratio = statistics.median(rate(each[kind]) / rate(each["plain"]) for each in rounds)
        print(
            f"  {kind:22} {statistics.median(rate(each[kind]) for each in rounds):7.1f} t/s  "
            f"{ratio:5.2f}  {done.timings.accepted_tokens:3} of {done.timings.drafted_tokens:3} "
            f"accepted  {agreement(done, last['plain']):3} of {given.tokens} tokens as plain"
        )
    wide, drafted = list(last.values())[-2:]
    return wide.tokens == drafted.tokens


def main() -> None:
    """Interleave the kinds of session and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--draft", type=int, default=7)
    given = parser.parse_args()
    lookup = PromptLookup(max_draft=given.draft)
    width = -(-(given.draft + 1) // 4) * 4
    kinds = {
        "plain": SessionParams(),
        "lookup": SessionParams(speculate=lookup),
        "reproducible": SessionParams(reproducible=True),
        f"reproducible, width {width}": SessionParams(reproducible=True, decode_width=width),
        "reproducible, lookup": SessionParams(reproducible=True, speculate=lookup),
    }
    engine = EngineParams(n_ctx=1024, n_threads=given.threads, n_sequences=2)
    agree = True
    with headrace.load_model(given.model, engine=engine) as model:
        for task, prompt in TASKS.items():
            print(task)
            agree = compare(model, kinds, prompt, given) and agree
    if not agree:
        raise SystemExit("reproducible sessions of one width wrote DIFFERENT tokens")


if __name__ == "__main__":
    main()
