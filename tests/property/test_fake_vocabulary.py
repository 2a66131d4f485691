"""The fake's byte-level vocabulary loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import TokenizeError
from headrace_fake import BOS, EOS, ByteVocabulary

VOCABULARY = ByteVocabulary()
TEXT = st.text(st.characters(exclude_categories=("Cs",)))
TOKENS = st.lists(st.integers(0, VOCABULARY.n_tokens - 1))


@given(TEXT, st.booleans())
def test_every_text_round_trips(text, add_special):
    """Special text that is not to be parsed stays text."""
    tokens = VOCABULARY.tokenize(text, add_special=add_special, parse_special=False)
    assert tokens[:1] == [BOS] or not add_special
    assert VOCABULARY.detokenize(tokens, special=False).decode() == text


@given(TOKENS)
def test_the_pieces_put_together_are_the_whole(tokens):
    """Streaming and converting at once give the same bytes."""
    pieces = b"".join(map(VOCABULARY.piece, tokens))
    assert pieces == VOCABULARY.detokenize(tokens, special=False)


@given(TOKENS.filter(lambda tokens: all(token < 128 or token > 255 for token in tokens)))
def test_special_tokens_survive_as_text(tokens):
    """Text with special tokens in it, parsed, gives the tokens back."""
    text = VOCABULARY.detokenize(tokens, special=True).decode()
    plain = VOCABULARY.detokenize(tokens, special=False).decode()
    if "<" not in plain:
        assert VOCABULARY.tokenize(text, add_special=False, parse_special=True) == tokens


@given(TOKENS)
def test_only_eos_ends_a_generation(tokens):
    """BOS does not."""
    assert [token for token in tokens if VOCABULARY.is_eog(token)] == [EOS] * tokens.count(EOS)


def test_a_lone_surrogate_is_refused():
    """It stands for no bytes."""
    with pytest.raises(TokenizeError, match="surrogates not allowed"):
        VOCABULARY.tokenize("a\ud800", add_special=False, parse_special=False)
