"""Output under a grammar, on every backend."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest

from headrace import (
    Capability,
    Choice,
    Gbnf,
    GrammarError,
    JsonSchema,
    Regex,
    SamplingParams,
    StopReason,
)
from headrace.grammar import Grammar

PROMPT = "Once upon a time"
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 6},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
        "more": {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
    },
    "required": ["name", "age", "tags", "more"],
    "additionalProperties": False,
}


def under(grammar: Grammar, seed: int = 0, **settings: object) -> SamplingParams:
    """Settings with a grammar."""
    return SamplingParams(grammar=grammar, seed=seed, **settings)


@pytest.fixture(autouse=True)
def _able(model):
    assert Capability.GRAMMAR in model.capabilities


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize(
    "pattern", [r"\d{3}-\d{4}", "(yes|no)!{1,3}", r"[^a-z]{2,5}", r"(a(b)?){1,3}c"]
)
def test_all_of_the_output_matches_a_pattern(session, pattern, temperature):
    """And the generation ends where nothing more can follow."""
    sampling = under(Regex(pattern), temperature=temperature)
    done = session.complete(PROMPT, sampling=sampling, max_tokens=200)
    assert done.stop_reason is StopReason.EOG
    assert re.fullmatch(pattern, done.text, re.ASCII)


def test_a_choice_is_made(session):
    """Different seeds, always one of the options."""
    options = ["yes", "no", "may be", 'say "é😀"\n']
    for seed in range(6):
        done = session.complete(PROMPT, sampling=under(Choice(options), seed), max_tokens=100)
        assert done.text in options


def test_json_is_valid_under_its_schema(session):
    """Complete output parses and validates."""
    for seed in range(3):
        done = session.complete(PROMPT, sampling=under(JsonSchema(SCHEMA), seed), max_tokens=400)
        if done.stop_reason is StopReason.EOG:
            jsonschema.validate(json.loads(done.text), SCHEMA)
            return
    pytest.fail("no output was complete")


def test_each_generation_begins_the_grammar_anew(session):
    """Whatever was computed ahead of the reader."""
    grammar = Gbnf('root ::= "<" [a-c]{4} ">"')
    for seed in range(3):
        done = session.complete(PROMPT, sampling=under(grammar, seed), max_tokens=50)
        assert re.fullmatch("<[abc]{4}>", done.text)


def test_a_generation_that_is_cut_short_is_a_beginning(session):
    """By max_tokens, or by a cancel; the next one has nothing of it."""
    grammar = Gbnf('root ::= "ab"{100}')
    cut = session.complete(PROMPT, sampling=under(grammar), max_tokens=5)
    assert cut.stop_reason is StopReason.MAX_TOKENS
    assert cut.text
    assert ("ab" * 100).startswith(cut.text)
    stream = session.generate(PROMPT, sampling=under(grammar))
    text = next(iter(stream)).text
    stream.cancel()
    assert "".join([text, *(chunk.text for chunk in stream)]).startswith("a")
    assert session.complete("x", sampling=under(Choice(["ok"])), max_tokens=9).text == "ok"


def test_the_same_seed_gives_the_same_text(model):
    """On two sessions."""
    texts = set()
    for _ in range(2):
        with model.open_session() as session:
            sampling = under(Regex("[a-z ]{20,30}"), seed=7)
            texts.add(session.complete(PROMPT, sampling=sampling, max_tokens=100).text)
    assert len(texts) == 1


def test_ignoring_the_end_goes_on_as_long_as_the_grammar_does(session):
    """Where nothing else can follow, the generation ends all the same."""
    sampling = under(Regex("a{2,9}"))
    done = session.complete(PROMPT, sampling=sampling, max_tokens=50, ignore_eog=True)
    assert done.text == "a" * len(done.text)
    assert 2 <= len(done.text) <= 9
    assert done.stop_reason is StopReason.EOG


def test_a_token_that_there_is_not(session):
    """Named in a grammar: an error of that generation, and the session goes on."""
    for name in ("<[999999]>", "<no such token>"):
        with pytest.raises(GrammarError):
            session.complete(PROMPT, sampling=under(Gbnf(f"root ::= {name}")))
    assert session.complete(PROMPT, sampling=under(Choice(["ok"])), max_tokens=9).text == "ok"
