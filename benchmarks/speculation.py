"""Prompt lookup on a text that quotes its prompt, beside the same session without, interleaved.

The prompt is a passage and its beginning once more, so that a model that goes on writes the passage
again. The reproducible pair must write the same tokens, or the script ends with an error.

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
PROMPT = f"{PASSAGE}\n\nThe text again, word for word:\n\n{PASSAGE[:60]}"
GREEDY = SamplingParams(temperature=0.0)


def measure(model: headrace.Model, params: SessionParams, tokens: int) -> headrace.Completion:
    """One generation in a session of its own."""
    with model.open_session(params) as session:
        return session.complete(PROMPT, sampling=GREEDY, max_tokens=tokens, ignore_eog=True)


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
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    last: dict[str, headrace.Completion] = {}
    engine = EngineParams(n_ctx=1024, n_threads=given.threads, n_sequences=2)
    with headrace.load_model(given.model, engine=engine) as model:
        for _ in range(given.rounds):
            for kind, params in kinds.items():
                done = last[kind] = measure(model, params, given.tokens)
                timings = done.timings
                seconds = timings.decode_seconds + timings.draft_seconds
                rates[kind].append(timings.decode_tokens / seconds)
    plain = statistics.median(rates["plain"])
    for kind, found in rates.items():
        rate, timings = statistics.median(found), last[kind].timings
        accepted = f"{timings.accepted_tokens} of {timings.drafted_tokens} accepted"
        print(f"{kind:24} {rate:7.1f} t/s  {rate / plain:5.2f}  {accepted}")
    same = last[f"reproducible, width {width}"].tokens == last["reproducible, lookup"].tokens
    print("reproducible pair: the same tokens" if same else "reproducible pair: DIFFERENT tokens")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
