"""What is in memory, in numbers that agree with what was done."""

from __future__ import annotations

import pytest

from headrace import ClosedError, SessionParams


def test_what_a_model_and_its_sessions_have_taken(target, greedy):
    """Sizes, and cells that follow the history."""
    with target.load(n_ctx=512, n_sequences=4) as model:
        empty = model.memory_usage()
        assert (empty.n_ctx, empty.n_sequences, empty.cells, empty.resident) == (512, 4, 0, 0)
        assert empty.weights > 0
        assert empty.cache > 0
        assert empty.total == empty.weights + empty.cache + empty.compute
        session = model.open_session()
        session.complete("a history", sampling=greedy, max_tokens=6, ignore_eog=True)
        used, own = model.memory_usage(), session.memory_usage()
        assert own.tokens == len(session.tokens)
        assert own.cells == used.cells == len(session.tokens) - 1
        assert (used.resident, used.total) == (1, empty.total)
        state = session.state()
        other = model.open_session()
        other.load_state(state)
        waiting = other.memory_usage()
        assert waiting.tokens == own.tokens
        assert waiting.cells == 0
        assert 0 < waiting.stored_bytes < len(state)
        other.complete(None, sampling=greedy, max_tokens=1, ignore_eog=True)
        assert other.memory_usage().stored_bytes == 0
        session.close()
        with pytest.raises(ClosedError):
            session.memory_usage()


def test_what_a_reproducible_session_takes_is_counted(target, greedy):
    """Its place apart, if it needs one: a cache more, and not the weights again."""
    with target.load(n_ctx=512, n_sequences=4) as model:
        before = model.memory_usage()
        with model.open_session(SessionParams(reproducible=True)) as session:
            session.complete("a history", sampling=greedy, max_tokens=6, ignore_eog=True)
            used = model.memory_usage()
            assert used.weights == before.weights
            # Only the fake takes none.
            assert (used.cache > before.cache) == (before.backend != "fake")
            assert (used.resident, used.cells) == (1, len(session.tokens) - 1)
