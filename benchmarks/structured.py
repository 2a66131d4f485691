"""How much of the world's JSON schemas is kept to, and what that costs.

With ``--maskbench`` every schema of MaskBench (the folder ``maskbench/data`` of
``guidance-ai/jsonschemabench``) is compiled, and its instances are followed token by token. A
schema passes if it takes all that are valid and refuses all that are not; one instance that goes
wrong is enough to fail it, as in the published tables. Tokens are those of ``--model``, else bytes.

A grammar writes the properties of an object in the order of the schema. So there are two columns:
with the instances as they stand in the data set, which is what the published tables count, and with
their properties put into the order in which the grammar writes them, if it does so in any order: a
valid instance has to be taken in one of them, and an invalid one in none.

With ``--streams`` the model decodes freely and under a schema, interleaved, greedy and at
temperature 0.8. Each ratio is that of one round, so that what else the machine does weighs on both
alike; the medians are printed, and how long the first constraint of a model takes beside the next.

    python benchmarks/structured.py --maskbench DIR [--sample 800 --seed 1] [--model FILE]
    python benchmarks/structured.py --model FILE --streams 1,8,16 [--rounds 3] [--threads 2]
    … [--json FILE]
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import re
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

import headrace
from headrace import EngineParams, GrammarError, JsonSchema, SamplingParams
from headrace.masks.guide import Guide

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import judging, taking

PASSED, REFUSED = "passed", "refused"
VALID_REFUSED, INVALID_TAKEN = "valid instance refused", "invalid instance accepted"
TRIES = 200
"""Names that are tried to find an order in which an invalid instance is taken."""


@attrs.define
class Figures:
    """What a run over the schemas found."""

    outcomes: dict[str, str] = attrs.field(factory=dict)
    """Of each schema, with its instances as they stand."""
    reordered: dict[str, str] = attrs.field(factory=dict)
    """Of each, with the properties of its instances in the order of the schema."""
    reasons: Counter[str] = attrs.field(factory=Counter)
    """Of the refused ones."""
    given_up: list[str] = attrs.field(factory=list)
    """Schemas of instances that take more to follow than they may, each a typed error."""
    instances: Counter[str] = attrs.field(factory=Counter)
    masks: list[float] = attrs.field(factory=list)
    """Seconds of each."""
    compiling: dict[str, float] = attrs.field(factory=dict)
    """Seconds of each schema, those included in which it is found that it has no grammar."""


class Tokens:
    """What texts are followed in: the tokens of a model, or bytes.

    Args:
        model: None for bytes.
    """

    def __init__(self, model: headrace.Model | None) -> None:
        self._model = model
        vocabulary: Any = taking.Bytes() if model is None else model._vocabulary  # type: ignore[attr-defined]
        self.n_tokens = vocabulary.n_tokens
        self.end = next(token for token in range(self.n_tokens) if vocabulary.is_eog(token))
        self.guide = Guide(vocabulary)
        self.guide.prepare()

    def of(self, text: str) -> list[int]:
        """The tokens that make up a text, and the end."""
        data = text.encode("utf-8", "surrogatepass")
        if self._model is None:
            return [*data, self.end]
        tokens = self._model.tokenize(text, add_special=False, parse_special=False)
        if self._model.detokenize(tokens) != data:
            raise SystemExit("this model's tokens change the text: take another one")
        return [*tokens, self.end]


def follow(matcher: Any, tokens: Sequence[int], figures: Figures) -> bool:
    """Whether the masks allow each of them in turn, from the beginning."""
    for done, token in enumerate(tokens):
        began = time.perf_counter()
        matcher.follow(max(done - 1, 0), tokens[max(done - 1, 0) : done])
        mask, _ = matcher.masks()
        figures.masks.append(time.perf_counter() - began)
        if not mask[token >> 3] >> (token & 7) & 1:
            return False
    return True


def reason(error: GrammarError) -> str:
    """Why, without the place and without what is in this schema alone."""
    told = error.message.partition("\n")[0]
    if error.path:
        told = told.replace(f"schema, {error.path}: ", "")
    told = re.sub(r'"[^"]*"|`[^`]*`|\'[^\']*\'|#/\S*|/.*/', "…", told)
    return re.sub(r"\d+", "n", told)[:90]


def judge(path: Path, tokens: Tokens, figures: Figures) -> tuple[str, str]:
    """Compile one schema and follow its instances.

    Returns:
        What becomes of it with its instances as they stand, and in the order of the schema.
    """
    given = json.loads(path.read_text(encoding="utf-8"))
    began = time.perf_counter()
    try:
        grammar = JsonSchema(given["schema"])
        tokens.guide.matcher(grammar, ban_eog=False)
    except GrammarError as error:
        figures.reasons[reason(error)] += 1
        return REFUSED, REFUSED
    finally:
        figures.compiling[path.stem] = time.perf_counter() - began
    in_bytes = functools.cache(lambda: taking.following(grammar))
    faults: tuple[set[str], set[str]] = (set(), set())
    for each in given["tests"]:
        valid, data = each["valid"], each["data"]
        try:
            matcher = tokens.guide.matcher(grammar, ban_eog=False)
            taken = follow(matcher, tokens.of(json.dumps(data, ensure_ascii=False)), figures)
        except GrammarError:
            figures.given_up.append(path.stem)
            taken = False
        kind = "valid" if valid else "invalid"
        figures.instances[f"{kind}, {'taken' if taken else 'refused'}"] += 1
        in_some_order = taken or _in_some_order(in_bytes(), data, valid)
        for found, is_taken in zip(faults, (taken, in_some_order), strict=True):
            if is_taken != valid:
                found.add(VALID_REFUSED if valid else INVALID_TAKEN)
    as_it_stands, in_order = map(_outcome, faults)
    if as_it_stands != PASSED:
        told = "" if in_order == as_it_stands else f"; in the order of the schema: {in_order}"
        print(f"\r{path.stem}: {as_it_stands}{told}", file=sys.stderr)
    return as_it_stands, in_order


def _in_some_order(matcher: Any, data: Any, valid: bool) -> bool:
    """Whether an instance can be written; of one that is invalid not all orders are tried."""
    tries = judging.MOST_TRIES if valid else TRIES
    return judging.written(matcher, data, tries=tries, whole=valid) is not None


def _outcome(faults: set[str]) -> str:
    """The worst of them."""
    return next((each for each in (INVALID_TAKEN, VALID_REFUSED) if each in faults), PASSED)


def maskbench(paths: Sequence[Path], tokens: Tokens) -> Figures:
    """Judge all of them."""
    figures = Figures()
    for done, path in enumerate(paths):
        if done % 50 == 0:
            print(f"\r{done} of {len(paths)} …", end="", file=sys.stderr, flush=True)
        found = judge(path, tokens, figures)
        figures.outcomes[path.stem], figures.reordered[path.stem] = found
    print(f"\r{len(paths)} of {len(paths)}  ", file=sys.stderr)
    return figures


def quantiles(seconds: list[float]) -> dict[str, float]:
    """In microseconds."""
    ordered = sorted(seconds) or [0.0]
    return {
        "average": 1e6 * statistics.fmean(ordered),
        **{
            name: 1e6 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]
            for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
        },
    }


def tell(figures: Figures) -> dict[str, Any]:
    """Print the table; what is in it, for a file."""
    counts, reordered = (Counter(each.values()) for each in (figures.outcomes, figures.reordered))
    total = len(figures.outcomes)
    print("\n| schemas | instances as they stand | | properties in the order of the schema | |")
    print("|---|---|---|---|---|")
    for name in (PASSED, REFUSED, VALID_REFUSED, INVALID_TAKEN):
        columns = (
            f"{each[name]:,} | {each[name] / max(total, 1):.2%}" for each in (counts, reordered)
        )
        print(f"| {name} | {' | '.join(columns)} |")
    print(f"\nInstances that take too much to follow: {len(figures.given_up)}.\n")
    instances = dict(sorted(figures.instances.items()))
    print("instances: " + ", ".join(f"{count:,} {kind}" for kind, count in instances.items()))
    print("\n| µs | average | p50 | p99 | max |\n|---|---|---|---|---|")
    times = {"mask": quantiles(figures.masks), "compile": quantiles([*figures.compiling.values()])}
    for name, kept in times.items():
        print(f"| {name} | " + " | ".join(f"{each:,.0f}" for each in kept.values()) + " |")
    slowest = sorted(figures.compiling.items(), key=lambda each: -each[1])[:5]
    told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in slowest)
    print(f"\nslowest to compile, in seconds: {told}")
    print("\n| refused because of | schemas |\n|---|---|")
    for why, count in figures.reasons.most_common():
        print(f"| {why} | {count} |")
    return {
        "schemas": total,
        "as_they_stand": dict(counts),
        "in_the_order_of_the_schema": dict(reordered),
        "given_up": figures.given_up,
        "instances": instances,
        "microseconds": times,
        "n_masks": len(figures.masks),
        "slowest": dict(slowest),
        "reasons": dict(figures.reasons.most_common()),
        "failed": {
            name: [outcome, figures.reordered[name]]
            for name, outcome in figures.outcomes.items()
            if outcome in (VALID_REFUSED, INVALID_TAKEN)
        },
    }


def records(name: str) -> JsonSchema:
    """A schema whose texts do not end within a measurement."""
    record = {
        "type": "object",
        "properties": {
            name: {"type": "string", "maxLength": 40},
            "number": {"type": "integer", "minimum": 0, "maximum": 9999},
            "kind": {"enum": ["river", "mill", "bridge", "village"]},
            "built": {"type": "string", "format": "date"},
            "remarks": {"type": "array", "items": {"type": "string", "maxLength": 60}},
        },
        "required": [name, "number", "kind", "built", "remarks"],
        "additionalProperties": False,
    }
    return JsonSchema({"type": "array", "items": record, "minItems": 40})


PROMPT = "A list of the places along the river, number {}, as JSON:\n\n"
NEW = 96


def decode(model: headrace.Model, count: int, sampling: SamplingParams) -> float:
    """Tokens a second of so many streams, from the moment at which all have begun."""
    times = [0.0]
    gate = threading.Barrier(count, action=lambda: times.__setitem__(0, time.perf_counter()))
    written = Counter[str]()

    def run(number: int) -> None:
        with model.open_session() as session:
            stream = session.generate(
                PROMPT.format(number), sampling=sampling, max_tokens=NEW + 1, ignore_eog=True
            )
            next(stream)
            gate.wait()
            for _ in stream:
                pass
            written["tokens"] += len(stream.result.tokens) - 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return written["tokens"] / (time.perf_counter() - times[0])


def compare(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Free beside constrained decoding; prints a line for each way of sampling."""
    schema = records("name")
    print("\n| streams | temperature | free t/s | with a schema | ratio |\n|---|---|---|---|---|")
    for count in given.streams:
        engine = EngineParams(n_ctx=512 * count, n_sequences=count, n_threads=given.threads)
        with headrace.load_model(given.model, engine=engine) as model:
            for temperature in (0.0, 0.8):
                free = SamplingParams(temperature=temperature, seed=1)
                kept = attrs.evolve(free, grammar=schema)
                for sampling in (free, kept):
                    decode(model, count, sampling)
                rounds = [
                    (decode(model, count, free), decode(model, count, kept))
                    for _ in range(given.rounds)
                ]
                ratio = statistics.median(after / before for before, after in rounds)
                before, after = (statistics.median(each) for each in zip(*rounds, strict=True))
                print(f"| {count} | {temperature} | {before:.1f} | {after:.1f} | {ratio:.3f} |")
                yield {
                    "streams": count,
                    "temperature": temperature,
                    "rounds": rounds,
                    "ratio": ratio,
                }


def first_constraint(given: argparse.Namespace) -> dict[str, float]:
    """Seconds of one token: freely, then under three schemas that were not seen before."""
    engine = EngineParams(n_ctx=512, n_threads=given.threads)
    taken: dict[str, float] = {}
    with headrace.load_model(given.model, engine=engine) as model:
        samplings = [SamplingParams(temperature=0.0)]
        samplings += [attrs.evolve(samplings[0], grammar=records(name)) for name in ("a", "b", "c")]
        for name, sampling in zip(
            ("free", "first constraint", "second", "third"), samplings, strict=True
        ):
            with model.open_session() as session:
                began = time.perf_counter()
                session.complete(PROMPT.format(0), sampling=sampling, max_tokens=1)
                taken[name] = time.perf_counter() - began
    print("\nseconds until the first token: ", end="")
    print(", ".join(f"{name} {each:.3f}" for name, each in taken.items()))
    return taken


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--maskbench", type=Path, metavar="DIR")
    parser.add_argument("--sample", type=int, help="as many schemas, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", metavar="FILE")
    parser.add_argument(
        "--streams", type=lambda text: [int(each) for each in text.split(",")], default=[]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    given = parser.parse_args()
    if given.maskbench is None and not given.streams:
        parser.error("give --maskbench DIR, or --model FILE with --streams 1,8,16")
    if given.streams and given.model is None:
        parser.error("--streams needs --model FILE")
    found: dict[str, Any] = {"headrace": headrace.__version__}
    if given.maskbench is not None:
        paths = sorted(given.maskbench.glob("*.json"))
        if not paths:
            parser.error(f"--maskbench: there are no .json files in {given.maskbench}")
        if given.sample is not None:
            paths = sorted(random.Random(given.seed).sample(paths, min(given.sample, len(paths))))
        if given.model is None:
            found["maskbench"] = tell(maskbench(paths, Tokens(None)))
        else:
            with headrace.load_model(given.model, engine=EngineParams(n_ctx=256)) as model:
                found["maskbench"] = tell(maskbench(paths, Tokens(model)))
    if given.streams:
        found["decoding"] = list(compare(given))
        found["first_constraint"] = first_constraint(given)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
