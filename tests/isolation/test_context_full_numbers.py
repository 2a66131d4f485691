"""``ContextFullError`` of an isolated model has both numbers."""

from __future__ import annotations

import pytest

import headrace


def test_they_cross_from_a_child_process(load):
    """Of a prompt that does not fit into it."""
    with load("fake:Hello#n_ctx=32").open_session() as session:
        with pytest.raises(headrace.ContextFullError) as caught:
            session.complete("x" * 50)
        assert caught.value.n_tokens >= 50
        assert caught.value.n_ctx == 32
