"""``ContextFullError`` has both numbers, wherever it comes from."""

from __future__ import annotations

import pickle

import pytest

import headrace
from headrace import EngineParams

ENGINE = EngineParams(n_ctx=32, n_sequences=1)


@pytest.fixture
def model():
    """One with room for 32 tokens."""
    with headrace.load_model("fake:Hello", engine=ENGINE) as model:
        yield model


def raised_by(call) -> headrace.ContextFullError:
    """What it raises."""
    with pytest.raises(headrace.ContextFullError) as caught:
        call()
    return caught.value


def test_a_prompt_beside_a_history(model):
    """Both together count."""
    with model.open_session() as session:
        session.complete("x" * 20, max_tokens=0)
        history = len(session.tokens)
        error = raised_by(lambda: session.complete("y" * 20))
    assert (error.n_tokens, error.n_ctx) == (history + 20, 32)


def test_a_conversation(model):
    """As the template renders it."""
    with model.open_session() as session:
        error = raised_by(lambda: session.chat([{"role": "user", "content": "x" * 50}]))
    assert error.n_tokens > 50
    assert error.n_ctx == 32


def test_a_text_to_score(model):
    """What has to be computed of it."""
    with model.open_session() as session:
        error = raised_by(lambda: session.score("x" * 50))
    assert error.n_tokens >= 50 - 1
    assert error.n_ctx == 32


def test_a_text_to_embed(model):
    """Its tokens, and those that are embedded at once."""
    error = raised_by(lambda: model.embed("x" * 5000))
    assert error.n_tokens >= 5000
    assert error.n_ctx < 5000


def test_a_state(model):
    """Of a session of a larger context."""
    with headrace.load_model("fake:Hello") as large, large.open_session() as session:
        session.complete("x" * 60, max_tokens=0)
        state, tokens = session.state(), len(session.tokens)
    with model.open_session() as session:
        error = raised_by(lambda: session.load_state(state))
    assert (error.n_tokens, error.n_ctx) == (tokens, 32)


def test_they_cross_a_pickle(model):
    """As to another process."""
    with model.open_session() as session:
        error = raised_by(lambda: session.complete("x" * 50))
    again = pickle.loads(pickle.dumps(error))
    assert (again.n_tokens, again.n_ctx) == (error.n_tokens, 32)
