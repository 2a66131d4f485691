"""Regular expressions: what they take is what Python's own take."""

from __future__ import annotations

import contextlib
import re
import warnings

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headrace import GrammarError, Regex
from tests.support.taking import following, takes, texts

PATTERNS = [
    "a(b|c)*d?",
    r"\d{2,4}-\w+",
    r"[^\s\d]{3}",
    ".",
    "[]a]",
    "[^]a]",
    "[a-]",
    r"[\]\\^-]+",
    r"\x41\u00e9\U0001F600",
    r"[\w-]+@[\w.]+",
    "(?P<year>[0-9]{4})",
    "(?:ab|a)(?:bc|c)?",
    "a{,2}",
    "a{2}{",
    "x{a}",
    "(a*)*b",
    "(a?){3}",
    "(|a)+",
    "a|",
    "^(?:yes|no)$",
    r"\A[&a~]+/\Z",
    r"[\n\t\r\f\v\a\b]",
    r"\.\*\+\?\(\)\[\]\{\}\|\^\$\/",
    "#[0-9A-Fa-f]{6}",
    "(?: |\n[ \t]{0,20})",
    r"[\D]\W\S",
    "é|[à-ü]+",
]


def agree(pattern: str, text: str) -> bool:
    """Whether both say the same of a text."""
    return takes(Regex(pattern), text) == bool(re.fullmatch(pattern, text, re.ASCII))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_written_matches(pattern: str) -> None:
    """Texts drawn at random, and what a small change makes of them."""
    start = following(Regex(pattern))
    for seed in range(12):
        text = texts(start, seed)
        assert re.fullmatch(pattern, text, re.ASCII), text
        for changed in (
            text[1:],
            text[:-1],
            text + text,
            text + "\n",
            text.swapcase(),
            "\r" + text,
        ):
            assert takes(start, changed) == bool(re.fullmatch(pattern, changed, re.ASCII)), changed


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(PATTERNS))
def test_what_matches_can_be_written(data: st.DataObject, pattern: str) -> None:
    """All but a NUL, which no output has."""
    text = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    assume("\0" not in text)
    assert takes(Regex(pattern), text)


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet=r"ab|()[]{}*+?.\^$-&~0,d", max_size=10), st.text("ab-&~\n0", max_size=4))
def test_any_pattern_is_refused_or_means_what_it_means_to_python(pattern: str, text: str) -> None:
    """Also those that are made of signs."""
    grammar = compiled = None
    with contextlib.suppress(GrammarError):
        grammar = Regex(pattern)
    with contextlib.suppress(re.error), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what may get another meaning in a later Python
        compiled = re.compile(pattern, re.ASCII)
    assume(grammar and compiled)
    assert takes(grammar, text) == bool(compiled.fullmatch(text))


@pytest.mark.parametrize(
    "code", [0x0A, 0x0D, 0x1C, 0x85, 0xA0, 0x2028, 0xFEFF, 0x660, 0xE9, 0x1F600]
)
def test_characters_at_the_borders_of_classes(code: int) -> None:
    """Other spaces, other digits, other letters: as with ``re.ASCII``."""
    for pattern in (".", r"\s", r"\S", r"\d", r"\D", r"\w", r"\W", r"[^\s]", r"[^\w\d]"):
        assert agree(pattern, chr(code)), pattern


def test_a_pattern_that_nothing_matches_is_refused() -> None:
    """Where the empty set is needed; elsewhere it is passed over."""
    nothing = "[^\\x00-\\U0010ffff]"
    with pytest.raises(GrammarError, match="no text"):
        Regex(f"a{nothing}")
    assert takes(Regex(f"a{nothing}*|b{nothing}|c"), "a")


@pytest.mark.parametrize(
    "pattern", ["((a{100}){100}){100}", "(a{0,9999}b){0,9999}", "a" * 20_001, "(" * 50_000, "[" * 9]
)
def test_patterns_that_would_be_too_large(pattern: str) -> None:
    """Refused before anything is compiled."""
    with pytest.raises(GrammarError):
        Regex(pattern)


def test_large_repetitions_are_kept() -> None:
    """Up to ten thousand."""
    grammar = Regex("(?:ab?){0,10000}")
    assert takes(grammar, "ab" * 10_000)
    assert not takes(grammar, "ab" * 10_001)
