"""Text to tokens and back."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

per_target = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)


@per_target
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="▁")))
def test_text_survives_the_round_trip(model, text):
    """The targets' vocabularies are byte-level: nothing is lost but SPM's own space sign."""
    ids = model.tokenize(text, add_special=False)
    assert model.detokenize(ids).decode().removeprefix(" ") == text.removeprefix(" ")
    assert all(0 <= token < model.info.n_vocab for token in ids)


def test_special_tokens_are_added_on_request(model):
    """A text has its plain tokens at the end either way."""
    plain = model.tokenize("abc", add_special=False)
    assert model.tokenize("abc", add_special=True)[-len(plain) :] == plain
    assert len(model.tokenize("abc", add_special=True)) > len(plain)


def test_nothing_has_no_tokens(model):
    """And no tokens have no text."""
    assert model.tokenize("", add_special=False) == []
    assert model.detokenize([]) == b""
