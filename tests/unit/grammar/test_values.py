"""Regular expressions, choices, lazy grammars: what is refused, and where."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from headrace import (
    Choice,
    Gbnf,
    GrammarError,
    JsonSchema,
    Lazy,
    ParamsError,
    Regex,
    SamplingParams,
    Trigger,
    UnsupportedError,
)
from tests.support.taking import takes, texts

A = Gbnf('root ::= "a"')


@pytest.mark.parametrize(
    ("pattern", "column", "words"),
    [
        ("a(?=b)", 2, "lookahead"),
        ("(?<!a)b", 1, "lookbehind"),
        (r"(a)\1", 4, "backreferences"),
        ("(?P=x)", 1, "backreference"),
        ("(?i)a", 1, "flags"),
        ("(?>a)", 1, "atomic"),
        ("a++", 2, "possessive"),
        ("a**", 3, "repetition of a repetition"),
        ("*a", 1, "nothing to repeat"),
        ("(a", 1, "not closed"),
        ("a)", 2, "closes nothing"),
        ("[a", 1, "not closed"),
        ("[z-a]", 2, "smaller to the larger"),
        (r"[a-\d]", 2, "one character to another"),
        (r"a\b", 2, "word boundaries"),
        ("a^b", 2, "ends of the pattern"),
        ("a$b", 3, "nothing can follow"),
        (r"\x4", 1, "hexadecimal"),
        (r"\0", 1, r"\\0"),
        ("a\\", 2, "backslash"),
        ("a{3,1}", 2, "from 3 to 1"),
        ("a{30000}", 2, "10000"),
        ("x\0", 2, "NUL"),
        ("(" * 200, 101, "100 groups"),
    ],
)
def test_a_pattern_that_no_grammar_expresses(pattern: str, column: int, words: str) -> None:
    """The error names the construct and the position."""
    with pytest.raises(GrammarError, match=words) as caught:
        Regex(pattern)
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize("options", [[], None, "yes", ["a", ""], ["a", 5], ["a\0"], ["\ud800"]])
def test_choices_are_texts(options: Any) -> None:
    """None, none at all, or what cannot be written."""
    with pytest.raises(GrammarError):
        Choice(options)


def test_a_choice_of_anything() -> None:
    """Quotes, backslashes, brackets, line breaks and other scripts are nothing special."""
    options = ['say "a"', "\\", "[x-z]*", "a\nb\r\t", "語😀", "a", "ab"]
    choice = Choice(options)
    assert all(takes(choice, option) for option in options)
    assert not any(takes(choice, text) for text in ("b", "", "abc", "x", "say"))
    assert {texts(choice, seed) for seed in range(200)} == set(options)


@pytest.mark.parametrize(
    "given", [{}, {"word": "a", "token": 1}, {"word": ""}, {"token": -1}, {"token": True}]
)
def test_a_trigger_is_one_thing(given: dict[str, Any]) -> None:
    """A word, a pattern or a token."""
    with pytest.raises(GrammarError):
        Trigger(**given)


def test_a_lazy_grammar_has_a_grammar_and_triggers() -> None:
    """Not another lazy one, and not nothing."""
    trigger = Trigger(word="x")
    for grammar, triggers in [(A, []), (A, "x"), ("root", [trigger]), (None, [trigger])]:
        with pytest.raises(GrammarError):
            Lazy(grammar, triggers)
    with pytest.raises(GrammarError):
        Lazy(Lazy(A, [trigger]), [trigger])
    assert Lazy(A, [trigger]).grammar == A


def test_a_grammar_is_a_field_of_the_sampling() -> None:
    """One of its classes; a str would not say which."""
    for grammar in (A, Regex("a"), Choice(["a"]), JsonSchema(True), Lazy(A, [Trigger(word="a")])):
        assert SamplingParams(grammar=grammar).grammar is grammar
        hash(SamplingParams(grammar=grammar))
    with pytest.raises(ParamsError, match="grammar must be None or a Gbnf"):
        SamplingParams(grammar="root ::= x")


def test_without_llguidance_a_grammar_is_refused_with_what_to_do(monkeypatch):
    """And nothing else is: it is imported by the first grammar."""
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(UnsupportedError, match="pip install 'llguidance"):
        JsonSchema({"type": "string"})
