"""GBNF grammars as llguidance follows them: the same texts, and no others."""

from __future__ import annotations

import itertools
import random

import pytest

from headrace import Gbnf, GrammarError
from headrace.grammar.derivative import Matcher, matches
from headrace.grammar.shape import MAX_CHAIN
from headrace.masks.guide import Guide
from headrace.protocols import allowed_tokens
from headrace_fake.vocabulary import BOS, EOS, FIM, ByteVocabulary
from tests.support import random_grammars
from tests.support.derivation import derive
from tests.support.taking import END, following, takes

WORDS = ["".join(word) for n in range(5) for word in itertools.product("ab", repeat=n)]

JSON = r"""
root ::= object
value ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""
SUMS = r"""
root ::= (expr "=" ws term "\n")+
expr ::= term ([-+*/] term)*
term ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num ::= [0-9]+ ws
ws ::= [ \t\n]*
"""
UNTIL = r"""
root ::= free "</x>" (" " root)?
free ::= | [<] free-1 | [^<] free
free-1 ::= | [<] free-1 | [/] free-2 | [^</] free
free-2 ::= | [<] free-1 | [x] free-3 | [^<x] free
free-3 ::= | [<] free-1 | [^<>] free
"""
PYTHON = r"""
root ::= "[" call (", " call)* "]"
call ::= name "(" (name "=" value (", " name "=" value)*)? ")"
name ::= [a-z_]+
value ::= "True" | "None" | [0-9]+ | "\"" [^"\\]* "\"" | "[" (value (", " value)*)? "]"
"""


@pytest.mark.parametrize("seed", range(40))
def test_any_grammar_takes_the_texts_that_it_matches(seed: int) -> None:
    """Judged by the matcher that follows all ways at once, for all short texts."""
    gbnf = random_grammars.grammar(seed)
    fresh = following(gbnf)
    taken = [word for word in WORDS if takes(fresh, word)]
    assert taken == [word for word in WORDS if matches(gbnf.rules, gbnf.root, word)]


@pytest.mark.parametrize("text", [JSON, SUMS, UNTIL, PYTHON])
def test_what_is_derived_is_taken(text: str) -> None:
    """And what is changed anywhere only where the grammar has it too."""
    gbnf = Gbnf(text)
    fresh = following(gbnf)
    for seed in range(12):
        draw = random.Random(seed)
        derived = "".join(derive(gbnf.rules, gbnf.root, draw.randrange, length=40))
        assert takes(fresh, derived)
        for _ in range(6):
            at = draw.randrange(len(derived) + 1)
            changed = derived[:at] + draw.choice(['"', "a", "<", "", " "]) + derived[at + 1 :]
            assert takes(fresh, changed) == matches(gbnf.rules, gbnf.root, changed), changed


@pytest.mark.parametrize("text", [JSON, SUMS, UNTIL, PYTHON])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_drawn_by_masks_matches(text: str, seed: int) -> None:
    """No mask allows too much."""
    gbnf = Gbnf(text)
    drawn, ended = _drawn(following(gbnf), random.Random(seed), most=80)
    judge = Matcher(gbnf.rules, gbnf.root)
    assert judge.feed(drawn)
    assert judge.complete or not ended


def _drawn(matcher, draw: random.Random, *, most: int) -> tuple[str, bool]:
    """A text of random bytes that the masks allow, and whether it was ended."""
    output: list[int] = []
    while len(output) < most:
        mask = matcher.compute_bitmask()
        allowed = [token for token in range(END + 1) if mask[token >> 3] >> (token & 7) & 1]
        token = draw.choice(
            [each for each in allowed if chr(each) in '"{}[]()<>/x,:= 1'] or allowed
        )
        if token == END:
            return bytes(output).decode(), True
        output.append(token)
        assert matcher.consume_token(token), matcher.get_error()
    return bytes(output).decode(errors="ignore"), False


@pytest.mark.parametrize(
    ("grammar", "good", "bad"),
    [
        (r'root ::= [\x00-\x1f] | "\x7f\u2028é😀"', ["\x01", "\x7f\u2028é😀"], ["\0", " ", "é"]),
        ("root ::= [\\x00]? .", ["a", "\n"], ["", "\0a"]),
        ('root ::= [/*+] "//" [^#]', ["///x", "+//\n"], ["///", "///#"]),
        ('root ::= ""', [""], ["a"]),
        ('root ::= "" | "a"? root-2\nroot-2 ::= Root\nRoot ::= "b"', ["", "b", "ab"], ["a"]),
        ('root ::= "a"{0} "b"{2,} "c"{1,2}', ["bbc", "bbbcc"], ["abbc", "bc", "bbccc"]),
        ('root ::= "ab" "cd" | "abcd" | "a" ("bcd" | "b")', ["abcd", "ab"], ["abc"]),
    ],
)
def test_every_notation(grammar: str, good: list[str], bad: list[str]) -> None:
    """Characters that mean something in the other notation, nothing at all, names in capitals."""
    fresh = following(Gbnf(grammar))
    assert [text for text in good if not takes(fresh, text)] == []
    assert [text for text in bad if "\0" not in text and takes(fresh, text)] == []


def test_rules_that_recurse_at_their_ends_are_one_regular_expression() -> None:
    """So they are followed at no cost, however long the text is."""
    gbnf = Gbnf(UNTIL)
    assert gbnf.source.count("start") == gbnf.source.count("start: L0") == 1
    assert takes(gbnf, "<</</x " * 2000 + "</x>")


def test_what_is_begun_is_written_already() -> None:
    """The source begins behind it; what is no beginning is refused where it is written."""
    gbnf = Gbnf('root ::= ("ab" | "abc")+ "."', begun="abab")
    fresh = following(gbnf)
    assert [text for text in ("", ".", "c.", "cab.", "ab", "b.") if takes(fresh, text)] == [
        ".",
        "c.",
        "cab.",
    ]
    with pytest.raises(GrammarError, match="what is begun is no beginning of it"):
        Gbnf('root ::= "ab"', begun="x")


def test_a_chain_of_rules_that_cannot_be_compiled_is_refused() -> None:
    """Where the grammar is made; mere other names are no links of it."""
    names = "\n".join(f"r{i} ::= r{i + 1}" for i in range(2 * MAX_CHAIN))
    assert takes(Gbnf(f'root ::= r0\n{names}\nr{2 * MAX_CHAIN} ::= "x"'), "x")
    rules = "\n".join(f'r{i} ::= "a" r{i + 1} | "b"' for i in range(2 * MAX_CHAIN))
    with pytest.raises(GrammarError, match=f"{MAX_CHAIN} are possible"):
        Gbnf(f'root ::= r0\n{rules}\nr{2 * MAX_CHAIN} ::= "x"')


# -- tokens ------------------------------------------------------------------


@pytest.fixture
def allowed():
    """The tokens of the fake's vocabulary that may follow some others."""
    guide = Guide(ByteVocabulary())

    def allowed_(gbnf: Gbnf, *output: int) -> list[int]:
        matcher = guide.matcher(gbnf, ban_eog=False)
        matcher.follow(0, output)
        return allowed_tokens(matcher.masks()[0], ByteVocabulary.n_tokens)

    return allowed_


def test_tokens_are_named_by_text_and_id(allowed) -> None:
    """Whatever else the vocabulary has."""
    gbnf = Gbnf('root ::= <fim_pre> "x" <[256]>')
    assert allowed(gbnf) == [FIM["fim_pre"]]
    assert allowed(gbnf, FIM["fim_pre"]) == [ord("x")]
    assert allowed(gbnf, FIM["fim_pre"], ord("x")) == [BOS]
    assert allowed(gbnf, FIM["fim_pre"], ord("x"), BOS) == [EOS]


def test_any_other_token_is_none_that_has_no_text(allowed) -> None:
    """Neither the end, nor a control token, unless they stand for their text."""
    assert allowed(Gbnf("root ::= !<[97]>")) == [i for i in range(256) if i != 97]
    spoken = Gbnf("root ::= !<[97]>", special_tokens=True)
    assert allowed(spoken) == [i for i in range(EOS + 6) if i not in (97, EOS)]


def test_special_tokens_stand_for_their_text_if_asked_to(allowed) -> None:
    """The end never does."""
    text = 'root ::= "<fim_pre>" | "<eos>"'
    assert allowed(Gbnf(text)) == [ord("<")]
    assert allowed(Gbnf(text, special_tokens=True)) == [ord("<"), FIM["fim_pre"]]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ('root ::= "a" <none>', 14, "<none> is no token of this model"),
        ("root ::= !<two tokens>", 10, "<two tokens> is no token of this model"),
        ("root ::= <[263]>", 10, "token 263 is not in the vocabulary (0 … 262)"),
    ],
)
def test_a_token_that_there_is_not(allowed, text: str, column: int, words: str) -> None:
    """The place in the grammar is shown."""
    with pytest.raises(GrammarError) as caught:
        allowed(Gbnf(text))
    assert words in str(caught.value)
    assert (caught.value.line, caught.value.column) == (1, column)


def test_a_source_that_cannot_be_compiled_has_another_behind_it() -> None:
    """Each character a lexeme of its own: slower, and the same."""
    gbnf = Gbnf(JSON)
    plain = following(gbnf.written(None, plain=True))
    assert takes(plain, '{"a": [1, "b"]}')
    assert not takes(plain, '{"a" [1]}')
