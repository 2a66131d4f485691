"""The parser of grammars: what it reads, and how it points at what it cannot."""

from __future__ import annotations

import pickle

import pytest

from headrace import Gbnf, GrammarError
from headrace.grammar.derivative import matches


def fits(text: str, grammar: str) -> bool:
    """Whether all of the text matches."""
    gbnf = Gbnf(grammar)
    return matches(gbnf.rules, gbnf.root, text)


@pytest.mark.parametrize(
    ("grammar", "good", "bad"),
    [
        ('root ::= "a" | "b" "c"', ["a", "bc"], ["", "b", "ab"]),
        ("root ::= [a-c]+ [^x-z]?", ["a", "abc", "abcd"], ["", "ax", "dd"]),
        ('root ::= ("ab"){2,3}', ["abab", "ababab"], ["ab", "abababab"]),
        ('root ::= "a"{2} .', ["aab", "aa\n"], ["aa", "ab"]),
        ('root ::= x* # comment\nx ::= "y" |\n "z"', ["", "yzy"], ["x"]),
        (r'root ::= "\x41\u00e9\U0001F600\"\\\n"', ['Aé😀"\\\n'], ["A"]),
        (r"root ::= [\]\-\\^]{4}", ["]-\\^"], ["abcd"]),
        ("root ::= [a-]+", ["a-a"], ["b"]),
        ('root ::= "{" root* "}"', ["{}", "{{}{}}"], ["{", "{}}"]),
        ('root ::= "a"{0,2} "b"{1,}', ["b", "aabbb"], ["aaab", "a"]),
    ],
)
def test_what_a_grammar_matches(grammar: str, good: list[str], bad: list[str]) -> None:
    """Each of the notations means what llama.cpp says it means."""
    assert [text for text in good if not fits(text, grammar)] == []
    assert [text for text in bad if fits(text, grammar)] == []


@pytest.mark.parametrize(
    ("grammar", "line", "column", "words"),
    [
        ('root ::= "a', 1, 10, "not closed"),
        ('root ::= "a"\nitem ::= [a', 2, 10, "not closed"),
        ('root ::= ("a"', 1, 10, "not closed"),
        ("root ::= item", 1, 10, "'item' is not defined"),
        ('root = "a"', 1, 6, "::="),
        ('root ::= "a" )', 1, 14, "unexpected"),
        ("root ::= *", 1, 10, "nothing to repeat"),
        ('root ::= ""*', 1, 12, "nothing to repeat"),
        ('root ::= "a"{3,1}', 1, 13, "from 3 to 1"),
        ('root ::= "a"{,3}', 1, 13, "{n}"),
        ('root ::= "a"{2001}', 1, 13, "2000"),
        ('root ::= "a"{99999999999999999999}', 1, 13, "2000"),
        ('root ::= ("a"{0,50} "b"){0,50}', 1, 25, "2000"),
        (r'root ::= "\q"', 1, 11, "escapes"),
        (r'root ::= "\x4"', 1, 11, "escapes"),
        (r'root ::= "\U00110000"', 1, 11, "no character"),
        (r'root ::= "\x00"', 1, 11, "never written"),
        ("root ::= [z-a]", 1, 11, "smaller to the larger"),
        ("root ::= []", 1, 10, "no characters"),
        ('root ::= "a"\nroot ::= "b"', 2, 1, "defined twice"),
        ('root ::= "a\0"', 1, 12, "NUL"),
        ("root ::= <think", 1, 10, "token"),
        ('root ::= root "a" | "b"', 1, 10, "root → root"),
        ('root ::= e root "x" | "y"\ne ::= f\nf ::= ""', 1, 12, "left recursion"),
        ('root ::= "a" | b\nb ::= ("x"? root)', 2, 13, "left recursion"),
        ('root ::= ("a"?)*', 1, 16, "may be empty"),
        ('root ::= e*\ne ::= f\nf ::= "" | "x"', 1, 11, "may be empty"),
        ('root ::= "a" root', 1, 10, "never ends"),
        ("root ::= " + "(" * 300, 1, 210, "200 parentheses"),
    ],
)
def test_an_error_points_at_the_place(grammar: str, line: int, column: int, words: str) -> None:
    """Line, column, and the line of the text with a mark under it."""
    with pytest.raises(GrammarError, match=r"line \d+, column \d+") as caught:
        Gbnf(grammar)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert words in str(caught.value)


def test_a_root_that_there_is_not() -> None:
    """The message names the rules that there are."""
    with pytest.raises(GrammarError, match="no rule 'start'; it has: root"):
        Gbnf('root ::= "a"', "start")


def test_a_grammar_that_would_fill_memory_is_refused() -> None:
    """Repetitions are counted as llama.cpp writes them out."""
    with pytest.raises(GrammarError, match="too large"):
        Gbnf('root ::= "' + "a" * 1000 + '"{2000}')
    with pytest.raises(GrammarError, match="at most"):
        Gbnf('root ::= "a" # ' + " " * (1 << 20))


def test_a_long_chain_of_rules_is_no_stack_overflow() -> None:
    """Nothing recurses from rule to rule."""
    rules = "\n".join(f"r{i} ::= r{i + 1}" for i in range(5000))
    assert fits("x", f'root ::= r0\n{rules}\nr5000 ::= "x"')


@pytest.mark.parametrize("value", [None, 5, b"root ::= x"])
def test_something_else_than_a_text(value: object) -> None:
    """A grammar is a str."""
    with pytest.raises(GrammarError, match="must be a str"):
        Gbnf(value)


def test_grammars_are_values() -> None:
    """Equal, hashable, and picklable with their errors."""
    one = Gbnf('root ::= "a"')
    assert one == Gbnf('root ::= "a"') == pickle.loads(pickle.dumps(one))
    assert hash(one) == hash(Gbnf('root ::= "a"'))
    with pytest.raises(GrammarError) as caught:
        Gbnf("root ::= (")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.line, again.column, str(again)) == (1, 10, str(caught.value))
