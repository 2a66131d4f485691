"""Dormant grammars, text with parts that are kept to one, an answer after reasoning, and Lark."""

from __future__ import annotations

import pickle

import pytest

from headrace import (
    After,
    Choice,
    Gbnf,
    GrammarError,
    Lark,
    Lazy,
    Regex,
    StructuralTag,
    Tag,
    Trigger,
)
from headrace.masks.guide import Guide
from headrace.protocols import allowed_tokens
from headrace_fake.vocabulary import BOS, EOS, FIM, ByteVocabulary
from tests.support.taking import following, takes

NESTED = Gbnf('root ::= "<t>" list "</t>"\nlist ::= "[" (list ("," list)*)? "]"')
CALL = Gbnf('root ::= "<t>" ("x" | "yy") "</t>"')


def taken(grammar: object, *texts: str) -> list[str]:
    """Those of the texts that can be all of an output."""
    fresh = following(grammar)
    return [text for text in texts if takes(fresh, text)]


# -- dormant -----------------------------------------------------------------


@pytest.mark.parametrize(("grammar", "content"), [(CALL, "x"), (CALL, "yy"), (NESTED, "[[],[]]")])
def test_what_comes_before_a_word_is_free(grammar: Gbnf, content: str) -> None:
    """It may end anywhere, also within the word; behind it the grammar holds to the end."""
    lazy = Lazy(grammar, [Trigger(word="<t>")])
    good = ["", "a", "<", "<t", "é<<t", f"<t>{content}</t>", f"a\n<<t>{content}</t>"]
    bad = ["<t>", f"<t>{content}", "<t>z", f"<t>{content}</t>a", "<t><t>", "a<t>]</t>"]
    assert taken(lazy, *good, *bad) == good


def test_the_word_that_is_complete_first_wakes() -> None:
    """Of two that are complete at once the one that began first; each with its own rest."""
    grammar = Gbnf('root ::= "ab" "1" | "b" "2" | "cab" "3"')
    words = [Trigger(word=word) for word in ("b", "ab", "cab")]
    assert taken(Lazy(grammar, words), "ab1", "b2", "xb2", "cab3", "xcab3", "ab2", "cab1") == [
        "ab1",
        "b2",
        "xb2",
        "cab3",
        "xcab3",
    ]


def test_a_trigger_that_the_grammar_does_not_begin_with_is_never_written() -> None:
    """It would wake the grammar, and break it."""
    lazy = Lazy(Gbnf('root ::= "<a>x"'), [Trigger(word="<a>"), Trigger(word="<b>")])
    assert taken(lazy, "<b", "<a>x", "<b>", "<b>x", "<<b><a>x") == ["<b", "<a>x"]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (
            r"<s>(\s+to)",
            ["to=x", " to", "<s> to=x;", "a<s> to=y;"],
            ["<s> to", "<s>  to", "<s>\nto"],
        ),
        (r"^\s+to$", [" to=x;", "a to=z", "<s> to"], [" to", " to=z;"]),
        (
            r"(?:^|<s>)( to=(?!x;)[^;]*?;)",
            [" to=x;", " to=y;", "<s> to=y;", "a to=", "<s> to=x;"],
            ["<s> to=z;", " to=z;"],
        ),
    ],
)
def test_patterns_wake_as_words_do(pattern: str, good: list[str], bad: list[str]) -> None:
    """With the text of the first group; what looks ahead sees what has been written."""
    grammar = Gbnf('root ::= " to=" ("x" | "y") ";"')
    assert taken(Lazy(grammar, [Trigger(pattern=pattern)]), *good, *bad) == good


def test_a_full_pattern_matches_all_that_was_written() -> None:
    """Not only its end."""
    lazy = Lazy(Gbnf('root ::= "ab" "c"'), [Trigger(full_pattern="a?b")])
    assert taken(lazy, "abc", "xab", "ab", "b", "xb") == ["abc", "xab", "xb"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "not closed"),
        ("a(?=b)b", "lookahead"),
        ("(?<=a)b", "lookbehind"),
        ("(?<!a)b", "lookbehind"),
        (r"(a)\1", "backreference"),
        ("(a)+", "cannot be repeated"),
        (r"\p{L}(a)", "properties"),
        ("((((((((((((((((((((((a))))))))))))))))))))))", "groups within each other"),
    ],
)
def test_a_pattern_that_cannot_be_followed(pattern: str, words: str) -> None:
    """The position is told."""
    with pytest.raises(GrammarError, match=words) as caught:
        Trigger(pattern=pattern)
    assert caught.value.column is not None


def test_a_pattern_that_matches_nothing_or_takes_too_much() -> None:
    """Where the automaton is made."""
    with pytest.raises(GrammarError, match="must not match an empty text"):
        Lazy(CALL, [Trigger(pattern="a*")])
    with pytest.raises(GrammarError, match="more than 5000 states"):
        Lazy(CALL, [Trigger(pattern="a.{16}b.{16}c")])


def test_a_choice_and_an_expression_can_be_dormant() -> None:
    """As nodes; what has none wakes at one character."""
    assert taken(Lazy(Choice(["{a}", "{b}"]), [Trigger(word="{")]), "x{a}", "x{", "x") == [
        "x{a}",
        "x",
    ]
    assert taken(Lazy(Regex(r"\d+;"), [Trigger(pattern=r"\d")]), "x12;", "x1", "x") == ["x12;", "x"]
    lark = Lark('start: "{" /[a-z]+/ "}"')
    assert taken(Lazy(lark, [Trigger(word="{")]), "x{a}", "x{", "x") == ["x{a}", "x"]
    with pytest.raises(GrammarError, match="words of one character"):
        Lazy(lark, [Trigger(word="{a")])


def test_a_dormant_grammar_is_a_value() -> None:
    """Equal, hashable, picklable."""
    lazy = Lazy(CALL, [Trigger(word="<t>")])
    again = pickle.loads(pickle.dumps(lazy))
    assert again == lazy
    assert hash(again) == hash(lazy)
    assert again.source == lazy.source


# -- tokens ------------------------------------------------------------------

HOLE = FIM["fim_mid"]


@pytest.fixture
def allowed():
    """The tokens of the fake's vocabulary that may follow some others."""
    guide = Guide(ByteVocabulary())

    def allowed_(grammar, *output: int) -> set[int]:
        matcher = guide.matcher(grammar, ban_eog=False)
        matcher.follow(0, output)
        return set(allowed_tokens(matcher.masks()[0], ByteVocabulary.n_tokens))

    return allowed_


def test_a_token_wakes_as_itself(allowed) -> None:
    """Whatever was written before; the grammar goes on behind it."""
    lazy = Lazy(Gbnf('root ::= <fim_mid> "x"'), [Trigger(token=HOLE)])
    assert {HOLE, BOS, EOS, ord("a")} <= allowed(lazy, *b"so")
    assert allowed(lazy, *b"so", HOLE) == {ord("x")}
    assert allowed(lazy, HOLE, ord("x")) == {EOS}
    refused = Lazy(Gbnf('root ::= "x"'), [Trigger(token=HOLE)])
    assert HOLE not in allowed(refused)


def test_control_tokens_are_free_before_a_word(allowed) -> None:
    """And not behind it; with special tokens they are their text."""
    lazy = Lazy(CALL, [Trigger(word="<t>")])
    assert {BOS, HOLE, EOS} <= allowed(lazy, BOS, *b"<t")
    assert allowed(lazy, BOS, *b"<t", HOLE, *b"<t>") == {ord("x"), ord("y")}
    spoken = Lazy(
        Gbnf('root ::= "<fim_mid>" "x"', special_tokens=True), [Trigger(word="<fim_mid>")]
    )
    assert allowed(spoken, *b"so", HOLE) == {ord("x")}


def test_a_token_with_a_text_wakes_as_its_text(allowed) -> None:
    """Where no other text is looked for: then it could be written as other tokens."""
    lazy = Lazy(Gbnf('root ::= "x" [0-2]'), [Trigger(token=ord("x"))])
    assert {EOS, BOS, ord("x")} <= allowed(lazy, *b"so")
    assert allowed(lazy, *b"sox") == set(b"012")
    with pytest.raises(GrammarError, match="token 97 has a text"):
        allowed(Lazy(CALL, [Trigger(token=ord("a")), Trigger(word="<t>")]))
    with pytest.raises(GrammarError, match=f"token {EOS} ends the generation"):
        allowed(Lazy(CALL, [Trigger(token=EOS)]))
    with pytest.raises(GrammarError, match=r"token 999 is not in the vocabulary \(0 … 262\)"):
        allowed(Lazy(CALL, [Trigger(token=999)]))


def test_a_marker_may_be_a_token(allowed) -> None:
    """Of an answer after reasoning; spelled out it is the same."""
    after = After("<fim_mid>", Gbnf('root ::= "x"'))
    assert EOS not in allowed(after, *b"so")
    assert allowed(after, *b"so", HOLE) == {ord("x")}
    assert allowed(after, BOS, *b"so<fim_mid>") == {ord("x")}


# -- tags, and answers after reasoning ---------------------------------------


def test_free_text_with_parts() -> None:
    """Any number of them; what begins as one is one."""
    tags = [
        Tag(begin="<f=a>", content=Regex(".*"), end="</f>"),
        Tag(begin="<f=b>", content=NESTED, end="</f>"),
        Tag(begin="<f=c>", content=Lark("start: /[0-9]+/"), end="</f>"),
    ]
    good = [
        "",
        "so",
        "<f=a></f>",
        "<f=a>x<</f> and <f=b><t>[]</t></f>.",
        "<f=c>12</f><f=c>3</f>",
        "<f=",
    ]
    bad = ["<f=a>", "<f=a>x", "<f=b>x</f>", "<f=c></f>", "<f=c>1</f><f=b>"]
    assert taken(StructuralTag(tags), *good, *bad, "<f=d>") == [*good, "<f=d>"]
    triggered = StructuralTag(tags, triggers=["<f="])
    assert taken(triggered, *good, *bad, "<f=d>") == good[:-1]


def test_at_least_one_part_and_no_more_than_one() -> None:
    """As XGrammar names them."""
    tags = [Tag(begin="<", content=Choice(["a", "ab"]), end=">")]
    texts = ("", "so", "<a>", "so <ab>", "<a> so", "<a><a>", "<a")
    one = StructuralTag(tags, at_least_one=True)
    assert taken(one, *texts) == ["<a>", "so <ab>", "<a> so", "<a><a>"]
    first = StructuralTag(tags, stop_after_first=True)
    assert taken(first, *texts) == ["", "so", "<a>", "so <ab>"]
    both = StructuralTag(tags, at_least_one=True, stop_after_first=True)
    assert taken(both, *texts) == ["<a>", "so <ab>"]


@pytest.mark.parametrize(
    "grammar",
    [
        Regex("yes|no"),
        Choice(["yes", "no"]),
        Gbnf('root ::= "yes" | "no"'),
        Lark('start: "yes" | "no"'),
    ],
)
def test_reasoning_first(grammar) -> None:
    """Free until the marker, then the grammar, to the end."""
    texts = ("</think>yes", "hm <</th</think>no", "", "hm", "yes", "</think>", "</think>yes.")
    assert taken(After("</think>", grammar), *texts) == list(texts[:2])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: StructuralTag([]),
        lambda: StructuralTag(["a"]),
        lambda: StructuralTag([Tag(begin="a", content=CALL, end="b")], triggers=["x"]),
        lambda: StructuralTag([Tag(begin="a", content=CALL, end="b")], triggers="x"),
        lambda: Tag(begin="", content=CALL, end="b"),
        lambda: Tag(begin="a", content="root", end="b"),
        lambda: Tag(begin="a", content=CALL, end="\0"),
        lambda: After("", CALL),
        lambda: After("x" * 2000, CALL),
        lambda: After("x", After("y", CALL)),
        lambda: After("x", Gbnf('root ::= "ab"', begun="a")),
        lambda: Lark(5),
    ],
)
def test_what_is_no_such_value(wrong) -> None:
    """The field is named."""
    with pytest.raises(GrammarError, match=r"(StructuralTag|Tag|After|Lark)\b|NUL"):
        wrong()


# -- Lark --------------------------------------------------------------------


def test_lark_is_what_llguidance_reads() -> None:
    """Schemas and expressions in it included."""
    lark = Lark('start: "n=" %json {"type": "integer"} (";" WORD)?\nWORD: /[a-z]+/ & ~/end/')
    assert taken(lark, "n=5", "n=-12;ab", "n=x", "n=5;", "n=5;end") == ["n=5", "n=-12;ab"]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('start: "a" xx', 1, 8, "unknown name"),
        ('start: "a"\nother: ("b"', 2, 12, "Expected"),
        ('start: "a" $', 1, 12, "lexer error"),
        ("other: /a/", None, None, "no start rule"),
        ("", None, None, "no start rule"),
    ],
)
def test_what_it_refuses_has_a_place(text: str, line: int, column: int, words: str) -> None:
    """In the caller's text, without what is put around it."""
    with pytest.raises(GrammarError, match=words) as caught:
        Lark(text)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_its_options_change_nothing() -> None:
    """Of forcing, and of bytes that are no text."""
    options = '%llguidance {"no_forcing": false, "allow_invalid_utf8": true}'
    assert taken(Lark(f'{options}\nstart: "a"'), "a", "b") == ["a"]
    for wrong in ('%llguidance {"no_forcing": 3}', '%llguidance {"no_forcing"'):
        with pytest.raises(GrammarError):
            Lark(f'{wrong}\nstart: "a"')


@pytest.mark.parametrize(
    "text",
    [
        "start: r0\n"
        + "".join(f'r{i}: "a" r{i + 1} | "b"\n' for i in range(20_000))
        + 'r20000: "x"',
        "start: " + "(" * 50_000 + '"a"' + ")" * 50_000,
        "start: " + "%lark { start: " * 9_000 + '"a"' + "}" * 9_000,
        "start: T\nT: " + "~" * 50_000 + '"a"',
        "x" * (1 << 21),
        'start: "\ud800"',
        'start: "\0"',
    ],
)
def test_a_hostile_one_is_an_error(text: str) -> None:
    """And no end of the process."""
    with pytest.raises(GrammarError):
        Lark(text)
