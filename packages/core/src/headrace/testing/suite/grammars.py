"""Grammars: what is written under one, and that nothing else of a generation changes."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs

from headrace.grammar import Choice, JsonSchema, Regex
from headrace.params import SamplingParams
from headrace.params.speculation import PromptLookup
from headrace.results import Capability, StopReason
from headrace.testing.kit import Kit, Violation, expect, expect_equal
from headrace.testing.rules import rule

GRAMMAR = (Capability.GRAMMAR,)


@rule("grammar.pattern", needs=GRAMMAR)
def pattern(kit: Kit) -> None:
    """All of the output matches a pattern, and then it ends."""
    for wanted in (r"\d{3}-\d{4}", "(yes|no)!{1,3}"):
        sampling = attrs.evolve(kit.subject.sampling, grammar=Regex(wanted))
        with kit.session() as session:
            done = kit.say(session, n=100, sampling=sampling, ignore_eog=False)
        expect_equal(done.stop_reason, StopReason.EOG, "stop_reason")
        expect(re.fullmatch(wanted, done.text), f"{done.text!r} does not match {wanted!r}")


@rule("grammar.choice", needs=GRAMMAR)
def choice(kit: Kit) -> None:
    """One of the options is written, whatever the seed."""
    options = ["yes", "no", "may be", 'say "é"\n']
    for seed in range(4):
        sampling = SamplingParams(grammar=Choice(options), seed=seed)
        with kit.session() as session:
            text = kit.say(session, n=100, sampling=sampling, ignore_eog=False).text
        expect(text in options, f"{text!r} is none of {options}")


@rule("grammar.json", needs=GRAMMAR)
def json_schema(kit: Kit) -> None:
    """Output under a schema is a JSON value of that shape."""
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["age"],
        "additionalProperties": False,
    }
    sampling = attrs.evolve(kit.subject.sampling, grammar=JsonSchema(schema))
    with kit.session() as session:
        text = kit.say(session, n=200, sampling=sampling, ignore_eog=False).text
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise Violation(f"{text!r} is not JSON: {error}") from error
    expect_equal(list(found), ["age"], "names")
    expect(0 <= found["age"] <= 99, f"age is {found['age']}")


@rule("grammar.ignored_end", needs=GRAMMAR)
def ignored_end(kit: Kit) -> None:
    """A generation that ignores its end goes on as long as the grammar lets it, and then ends."""
    sampling = attrs.evolve(kit.subject.sampling, grammar=Regex("a{2,5}"))
    with kit.session() as session:
        done = kit.say(session, n=100, sampling=sampling)
    expect_equal((done.text, done.stop_reason), ("aaaaa", StopReason.EOG), "what is written")


@rule("grammar.drafts", needs=(*GRAMMAR, Capability.SPECULATE))
def drafts(kit: Kit) -> None:
    """With drafts, every place keeps to what the grammar allows there."""
    wanted = "(?:[ab]c){12}"
    sampling = attrs.evolve(kit.subject.sampling, grammar=Regex(wanted))
    lookup = PromptLookup(ngram=2, min_ngram=1, max_draft=4)
    with kit.session(speculate=lookup) as session:
        done = kit.say(session, "acbcacacbcbc", n=100, sampling=sampling, ignore_eog=False)
    expect(re.fullmatch(wanted, done.text), f"{done.text!r} does not match {wanted!r}")


@rule("grammar.penalties", needs=GRAMMAR)
def penalties(kit: Kit) -> None:
    """No sampler brings back what the grammar refuses, or takes away all that it allows."""
    sampling = SamplingParams(
        seed=3, temperature=2.0, top_k=1, min_p=0.9, repeat_penalty=5.0, grammar=Regex("(xy){8}")
    )
    with kit.session() as session:
        done = kit.say(session, n=100, sampling=sampling, ignore_eog=False)
    expect_equal(done.text, "xy" * 8, "what is written")


@rule("grammar.logprobs", needs=(*GRAMMAR, Capability.LOGPROBS))
def logprobs(kit: Kit) -> None:
    """Log-probabilities are those of the model, as if there were no grammar."""
    told = []
    for grammar in (None, Choice(["q", "zq"])):
        sampling = SamplingParams(temperature=0.0, logprobs=5, grammar=grammar)
        with kit.session() as session:
            done = kit.say(session, n=1, sampling=sampling)
        told.append([token for token, _ in done.logprobs[0].top])
    expect_equal(told[1], told[0], "the likeliest tokens under a grammar")
