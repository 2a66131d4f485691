"""llama.cpp's grammars: real computation under constraints, and how they fail."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace
from headrace import (
    Choice,
    EngineParams,
    Gbnf,
    GrammarError,
    JsonSchema,
    Lazy,
    Regex,
    SamplingParams,
    StopReason,
    Trigger,
)
from tests.support import gemma, tiny_gguf
from tests.support.schemas import SCHEMAS
from tests.support.taking import begins

ENGINE = EngineParams(n_ctx=1024, n_threads=1)
PEOPLE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 30},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "languages": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 3},
        "married": {"type": "boolean"},
    },
    "required": ["name", "age", "languages", "married"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tiny():
    """A tiny model with random weights: it would write anything."""
    with headrace.load_model(tiny_gguf.path("attention"), engine=ENGINE) as model:
        yield model


@pytest.fixture(scope="module")
def large():
    """Gemma, with 262,144 tokens."""
    with headrace.load_model(gemma.path(), engine=ENGINE) as model:
        yield model


def write(model, grammar, prompt="The", *, max_tokens=300, ignore_eog=False, **params):
    """A completion under a grammar, in a session of its own."""
    sampling = SamplingParams(grammar=grammar, **{"seed": 1, **params})
    with model.open_session() as session:
        return session.complete(
            prompt, sampling=sampling, max_tokens=max_tokens, ignore_eog=ignore_eog
        )


complete_outputs = []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=SCHEMAS, seed=st.integers(0, 99))
def _generate_under_schemas(tiny, schema, seed):
    try:
        grammar = JsonSchema(schema)
    except GrammarError as error:
        if "control character" not in error.message:
            raise
        return  # narrower, and says so
    done = write(tiny, grammar, seed=seed, max_tokens=600)
    complete_outputs.append(done.stop_reason is StopReason.EOG)
    if done.stop_reason is StopReason.EOG:
        jsonschema.Draft202012Validator(
            schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        ).validate(json.loads(done.text))
    else:
        assert begins(grammar, done.text.rstrip("\ufffd"))


def test_what_is_generated_under_any_schema_is_valid(tiny):
    """Schemas of every kind; what is complete parses and validates, the rest is a beginning."""
    complete_outputs.clear()
    _generate_under_schemas(tiny)
    assert sum(complete_outputs) > 0.8 * len(complete_outputs)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_gemma_fills_in_a_form(large, temperature):
    """A real model and a real schema."""
    prompt = 'Ada Lovelace was born in London in 1815. As JSON: {"name": "Ada'
    done = write(large, JsonSchema(PEOPLE), prompt, temperature=temperature, max_tokens=200)
    assert done.stop_reason is StopReason.EOG
    person = json.loads(done.text)
    jsonschema.validate(person, PEOPLE)


@pytest.mark.parametrize(
    "pattern", [r"\d{4}-\d{2}-\d{2}", r"[A-Z][a-z]+( [A-Z][a-z]+){1,2}\.", r"[^\x00-\x7f]{3,8}"]
)
def test_gemma_keeps_to_a_pattern(large, pattern):
    """Tokens of many characters, and of parts of characters."""
    for seed in range(2):
        done = write(large, Regex(pattern), seed=seed, max_tokens=120)
        if done.stop_reason is StopReason.EOG:
            assert re.fullmatch(pattern, done.text)
        else:
            assert begins(Regex(pattern), done.text.rstrip("\ufffd"))


def test_what_is_allowed_is_not_changed(large):
    """A grammar that allows anything gives the tokens of no grammar at all."""
    free = write(large, None, "The capital of France", temperature=0.0, max_tokens=24)
    held = write(
        large, Gbnf("root ::= .*"), "The capital of France", temperature=0.0, max_tokens=24
    )
    assert held.tokens == free.tokens


def test_a_mask_comes_before_every_sampler(tiny):
    """So that top-k counts what is allowed, wherever it stands."""
    for seed in range(5):
        few, all_ = (
            write(
                tiny, Regex("[a-z]{30}"), seed=seed, top_k=5, temperature=1.0, samplers=order
            ).text
            for order in (("top_k", "temperature"), ("temperature", "top_k"))
        )
        assert few == all_


def test_greedy_takes_the_likeliest_that_is_allowed(large):
    """Compared with the log-probabilities of the model."""
    sampling = {"temperature": 0.0, "logprobs": 100}
    free = write(large, None, "Answer yes or no:", max_tokens=1, **sampling)
    held = write(
        large, Choice(["yes", "no", "Yes", "No"]), "Answer yes or no:", max_tokens=1, **sampling
    )
    allowed = {"yes", "no", "Yes", "No", "y", "Y", "n", "N", "ye", "Ye"}
    likely = [token for token, _ in free.logprobs[0].top]
    first = [t for t in likely if large.detokenize([t]).decode(errors="replace") in allowed]
    assert first == [] or held.tokens[0] == first[0]


def test_text_is_always_valid_utf8(tiny):
    """llama.cpp's own grammar lets overlong forms and ends inside a character pass."""
    for seed in range(30):
        done = write(tiny, Regex(r"[^\x00-\x7f]{1,6}"), seed=seed, temperature=2.0)
        assert done.stop_reason is StopReason.EOG
        assert "\ufffd" not in done.text
        assert 1 <= len(done.text) <= 6


def test_special_tokens_have_no_text(tiny):
    """Unless it is asked for, they do not stand for the text of their names."""
    done = write(tiny, Gbnf('root ::= "<s>" | "<unk>" | "</s>x"'), max_tokens=20)
    assert done.text in {"<s>", "<unk>", "</s>x"}


def test_a_token_of_the_vocabulary_by_name_and_by_id(tiny):
    """The model's own ids."""
    (token,) = tiny.tokenize("a", add_special=False)[-1:]
    by_id = write(tiny, Gbnf(f'root ::= <[{token}]> "b"'), max_tokens=5)
    assert by_id.tokens[0] == token
    other = write(tiny, Gbnf(f"root ::= (!<[{token}]>){{8}}"), max_tokens=9)
    assert token not in other.tokens[:8]


def written_as(model, text):
    """All tokens for a text: a vocabulary may have a byte beside a character."""
    return [
        token for token in range(model.info.n_vocab) if model.detokenize([token]) == text.encode()
    ]


def test_bias_and_penalties_work_under_a_grammar(tiny):
    """A banned token is not drawn although the grammar allows it."""
    banned = dict.fromkeys(written_as(tiny, "a"), float("-inf"))
    done = write(tiny, Regex("[ab]{20}"), logit_bias=banned, repeat_penalty=1.3)
    assert done.text == "b" * 20


def test_a_dead_end_is_an_error_of_that_stream(tiny):
    """What was generated is kept, the session goes on, and a neighbour notices nothing."""
    banned = dict.fromkeys(written_as(tiny, "a"), float("-inf"))
    sampling = SamplingParams(grammar=Gbnf('root ::= "bb" "a"'), logit_bias=banned, seed=1)
    with tiny.open_session() as session, tiny.open_session() as other:
        neighbour = other.generate("x", max_tokens=20, ignore_eog=True)
        next(iter(neighbour))
        stream = session.generate("The", sampling=sampling)
        seen = []
        with pytest.raises(GrammarError, match="what was generated before is kept"):
            seen.extend(chunk.text for chunk in stream)
        assert "".join(seen) == "bb"
        assert tiny.detokenize(session.tokens).decode().endswith("bb")
        assert session.complete("x", sampling=SamplingParams(grammar=Choice(["ok"]))).text == "ok"
        assert len(list(neighbour)) > 0
        assert neighbour.result.stop_reason is StopReason.MAX_TOKENS


def test_a_bad_trigger_is_an_error(tiny):
    """std::regex throws; here it is a GrammarError, and the process lives."""
    for pattern in ("(", "[z-a]", "a{3,1}", "*"):
        with pytest.raises(GrammarError, match="pattern"):
            write(tiny, Lazy(Choice(["a"]), [Trigger(pattern=pattern)]))
    with pytest.raises(GrammarError, match="trigger's token"):
        write(tiny, Lazy(Choice(["a"]), [Trigger(token=10**6)]))


def digits_after_x(trigger):
    """Three digits from the x on."""
    return Lazy(Gbnf('root ::= "x" [0-9]{3}'), [trigger])


@pytest.mark.parametrize(
    "trigger", [Trigger(word="x"), Trigger(pattern="(x)"), Trigger(full_pattern=r"[\s\S]*?(x)")]
)
def test_a_lazy_grammar_wakes(tiny, trigger):
    """Free text before the trigger, the grammar from there on."""
    (x,) = tiny.tokenize("x", add_special=False)[-1:]
    woken = 0
    for seed in range(4):
        done = write(tiny, digits_after_x(trigger), seed=seed, logit_bias={x: 4.0}, max_tokens=200)
        before, found, after = done.text.partition("x")
        if found and done.stop_reason is StopReason.EOG:
            woken += 1
            assert re.fullmatch("[0-9]{3}", after)
            assert len(before) > 0
    assert woken > 0


def test_a_token_wakes_a_lazy_grammar(tiny):
    """The grammar begins with it."""
    (x,) = tiny.tokenize("x", add_special=False)[-1:]
    lazy = Lazy(Gbnf('root ::= "x" [0-9]{3}'), [Trigger(token=x)])
    done = write(tiny, lazy, logit_bias={x: 6.0}, max_tokens=200)
    assert re.fullmatch("[^x]*x[0-9]{3}", done.text, re.DOTALL)


def test_a_trigger_inside_a_token(large):
    """The text of a token before the trigger is free, what follows in it is not."""
    lazy = Lazy(Gbnf('root ::= "is" " a " ("dog" | "cat")'), [Trigger(word="is")])
    for seed in range(3):
        done = write(large, lazy, "The capital of France", seed=seed, max_tokens=60)
        before, found, after = done.text.partition("is")
        assert not found or (" a dog".startswith(after) or after in {" a dog", " a cat"})
        assert found or before


def test_a_full_pattern_looks_through_long_output(tiny):
    """It recurses once for every character: a long text does not overflow the stack."""
    lazy = Lazy(Choice(["never"]), [Trigger(full_pattern=r"(?:[a-z]|[^a-z])*(nevermore)")])
    done = write(tiny, lazy, max_tokens=900, ignore_eog=True)
    assert done.stop_reason is StopReason.MAX_TOKENS


def test_reproducible_sessions_are_reproducible_under_a_grammar(tiny):
    """Also when memory was lost on the way."""
    texts = set()
    for _ in range(2):
        params = headrace.SessionParams(reproducible=True)
        with tiny.open_session(params) as session:
            sampling = SamplingParams(grammar=Regex("[a-z]{40}"), seed=5)
            texts.add(session.complete("The", sampling=sampling).text)
    assert len(texts) == 1


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:" * 15 + "[^~]" + ")" * 15 + "*~",
        "(?:a*)*(?:a*)*~",
        "(?:(?:(?:(?:.|a)*)*)*)*~",
    ],
    ids=["deep", "ambiguous", "both"],
)
def test_a_trigger_that_would_go_back_and_forth_costs_no_stack_and_little_time(tiny, pattern):
    """The matcher keeps to one pass, over short output and long."""
    lazy = Lazy(Gbnf('root ::= "x"'), (Trigger(full_pattern=pattern), Trigger(pattern=pattern)))
    bytes_of_a = {tiny.tokenize("a", add_special=False)[0]: 20.0}
    done = write(tiny, lazy, logit_bias=bytes_of_a, max_tokens=120, ignore_eog=True)
    assert len(done.tokens) == 120


def test_an_end_that_infill_puts_in_is_refused_by_a_grammar(tiny):
    """llama.cpp's sampler does so where nothing is likely, whatever was taken out before."""
    for seed in range(8):
        done = write(
            tiny,
            Gbnf("root ::= [a-z] [a-z] [a-z]"),
            samplers=("temperature", "infill"),
            temperature=50.0,
            seed=seed,
        )
        assert re.fullmatch("[a-z]{3}", done.text)
