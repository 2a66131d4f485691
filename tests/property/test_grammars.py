"""Grammars mean what the notations that they come from mean; garbage is a typed error."""

from __future__ import annotations

import json
import random
import re
import warnings

import jsonschema
from hypothesis import example, given
from hypothesis import strategies as st

from headrace import Choice, Gbnf, GrammarError, JsonSchema, Regex
from headrace.grammar.derivative import matches
from headrace.grammar.nodes import TokenRef
from tests.support.derivation import derive
from tests.support.gbnf_notation import write_gbnf
from tests.support.schemas import SCHEMAS
from tests.support.taking import takes, texts

ATOMS = st.sampled_from(
    ["a", "b", ".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", "[ab]", "[^a]", r"[\d-]", "é",
     "[a-c1]", r"\.", r"\n", "[]]", r"[^\w]", "()", ""]
)  # fmt: skip
QUANTIFIERS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "{,2}", "*?"])


def _quantified(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = st.tuples(parts, QUANTIFIERS).map(lambda made: f"({made[0]}){made[1]}")
    return st.one_of(
        group,
        st.lists(parts, min_size=1, max_size=3).map("".join),
        st.lists(parts, min_size=2, max_size=3).map(lambda made: f"(?:{'|'.join(made)})"),
    )


PATTERNS = st.recursive(ATOMS, _quantified, max_leaves=6)
TEXTS = st.text(alphabet="ab1é .-\n]", max_size=6)


def draws(seed: int) -> random.Random:
    """Numbers for a derivation."""
    return random.Random(seed)


@given(PATTERNS, TEXTS, st.integers(0, 9))
@example("(a*)*", "aaa", 0)
@example("((a?b?)*c?)*", "abcab", 0)
@example("(a|)+b{2,}", "bb", 0)
def test_a_pattern_matches_what_python_matches(pattern: str, text: str, seed: int) -> None:
    """Any text, and texts that are drawn under it."""
    grammar, compiled = Regex(pattern), re.compile(pattern, re.ASCII)
    assert takes(grammar, text) == (compiled.fullmatch(text) is not None)
    assert compiled.fullmatch(texts(grammar, seed, n_bytes=40))


SIGNS = r"ab|()[]^$*+?{}0,1\dwsnxuAZ.-:=!<P>"


@given(st.text(alphabet=SIGNS, max_size=12), st.text(alphabet=SIGNS, max_size=4))
@example("a{2", "a{2")
def test_any_pattern_is_converted_or_refused(pattern: str, text: str) -> None:
    """What is converted is valid to Python too, and means the same to it."""
    try:
        grammar = Regex(pattern)
    except GrammarError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # [[: a set in a set, some day
        compiled = re.compile(pattern, re.ASCII)
    assert takes(grammar, text) == (compiled.fullmatch(text) is not None)


@given(st.text(alphabet='abroot:= \n|()[]{}^*+?"\\01x,.-#<>!', max_size=40))
@example('root ::= (((((("a")?)?)?)?)*')
def test_any_grammar_is_read_or_refused(text: str) -> None:
    """And what was read can be written, read again, and derived from."""
    try:
        gbnf = Gbnf("root ::= " + text)
    except GrammarError:
        return
    again = Gbnf(write_gbnf(gbnf.rules))
    try:
        parts = derive(gbnf.rules, "root", draws(0).randrange)
    except GrammarError:
        return  # nothing but characters that are never written
    if not any(isinstance(part, TokenRef) for part in parts):
        assert matches(gbnf.rules, "root", "".join(map(str, parts)))
        assert matches(again.rules, "root", "".join(map(str, parts)))


WRITABLE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)


@given(st.lists(WRITABLE, min_size=1), st.integers(0, 9))
def test_a_choice_is_one_of_its_options(options: list[str], seed: int) -> None:
    """Whatever characters they are made of."""
    grammar = Choice(options)
    assert texts(grammar, seed) in options
    assert all(takes(grammar, option) for option in options)


@given(SCHEMAS, st.integers(0, 9))
def test_what_a_schema_allows_is_valid(schema: dict, seed: int) -> None:
    """Whatever is written under the grammar of a schema, jsonschema says so too."""
    try:
        grammar = JsonSchema(schema)
    except GrammarError as error:
        if "control character" not in error.message:
            raise
        return  # narrower, and says so
    text = texts(grammar, seed)
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(json.loads(text))


KEYWORDS = st.sampled_from(
    ["type", "properties", "required", "items", "prefixItems", "minItems", "maxItems", "minLength",
     "maxLength", "pattern", "format", "minimum", "exclusiveMaximum", "enum", "const", "anyOf",
     "oneOf", "allOf", "$ref", "additionalProperties", "not", "minProperties", "string", "a"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(KEYWORDS, parts, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYWORDS, JSON, max_size=5), st.booleans())
@example({"$ref": "#/a", "a": {"allOf": [{"$ref": "#/a"}]}}, True)
@example({"type": {}, "enum": []}, False)
@example({"oneOf": [{"type": "object", "required": 5}, {"type": "object"}]}, True)
def test_any_object_is_a_schema_or_refused(schema: dict, strict: bool) -> None:
    """Never anything else than a GrammarError."""
    try:
        JsonSchema(schema, strict=strict)
    except GrammarError:
        return
