"""A forked child must not touch its parent's handles."""

from __future__ import annotations

import os

import pytest

import headrace
from headrace import ForkedProcessError
from headrace.testing.threads import in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def test_every_handle_says_so():
    """Before it takes a lock that another thread may hold."""
    with headrace.load_model("fake:Hello") as model, model.open_session() as session:
        stream = session.generate("x")
        next(stream)
        calls = [
            lambda: model.tokenize("x"),
            model.open_session,
            lambda: session.generate("x"),
            lambda: session.tokens,
            lambda: next(stream),
            stream.cancel,
            lambda: stream.result,
        ]
        assert {in_child(call) for call in calls} == {ForkedProcessError.__name__}
        assert "".join(chunk.text for chunk in stream) == "ello"


def test_closing_and_dropping_in_a_child_do_nothing():
    """Destructors run there too, when the child ends in the ordinary way."""
    with headrace.load_model("fake:Hello") as model, model.open_session() as session:
        stream = session.generate("x")
        next(stream)
        assert in_child(lambda: (session.close(), model.close(), stream.__del__())) == repr(
            (None, None, None)
        )
        assert "".join(chunk.text for chunk in stream) == "ello"


def test_the_message_says_what_to_do():
    """Load in the child, or spawn."""
    with headrace.load_model("fake:Hello") as model:
        model._pid -= 1
        with pytest.raises(ForkedProcessError, match="spawn"):
            model.tokenize("x")
        model._pid += 1
