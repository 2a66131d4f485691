"""What a token costs in a process of its own: the same generations here and there, by turns.

    python benchmarks/isolation.py [model.gguf] [--chat] [--tokens N] [--rounds N]

Without a model: the fake, whose steps cost next to nothing, so that what is left is headrace's
own work. The figure is the difference of the medians of the rounds' fastest half.
"""

from __future__ import annotations

import argparse
import statistics
import time

import headrace
from headrace import EngineParams, ModelParams, SamplingParams

GREEDY = SamplingParams(temperature=0.0)
PROMPT = "Once upon a time"


def seconds_a_token(model: headrace.Model, n_tokens: int, *, chat: bool) -> float:
    """One generation, without its prompt."""
    with model.open_session() as session:
        stream: headrace.ChatStream | headrace.TokenStream
        if chat:
            messages = [headrace.ChatMessage(role="user", content=PROMPT)]
            stream = session.chat(messages, sampling=GREEDY, max_tokens=n_tokens)
        else:
            stream = session.generate(PROMPT, sampling=GREEDY, max_tokens=n_tokens, ignore_eog=True)
        next(stream)
        began = time.perf_counter()
        for _ in stream:
            pass
        return (time.perf_counter() - began) / (len(stream.result.tokens) - 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="fake:#mean_length=0")
    parser.add_argument("--chat", action="store_true", help="answer a conversation")
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    engine = EngineParams(n_ctx=arguments.tokens + 64, n_threads=1)
    here = headrace.load_model(arguments.model, engine=engine)
    params = ModelParams(isolation="process")
    there = headrace.load_model(arguments.model, engine=engine, params=params)
    figures: dict[str, list[float]] = {"in this process": [], "in its own": []}

    def cost(model: headrace.Model) -> float:
        return seconds_a_token(model, arguments.tokens, chat=arguments.chat)

    with here, there:
        for _ in range(arguments.rounds):
            for name, model in zip(figures, (here, there), strict=True):
                figures[name].append(1e6 * cost(model))
    medians = []
    for name, found in figures.items():
        fastest = sorted(found)[: max(1, len(found) // 2)]
        medians.append(statistics.median(fastest))
        spread = f"all rounds: {min(found):.1f} to {max(found):.1f}"
        print(f"{name:16} {medians[-1]:8.1f} us a token ({spread})")
    print(f"{'difference':16} {medians[1] - medians[0]:8.1f} us a token")


if __name__ == "__main__":
    main()
