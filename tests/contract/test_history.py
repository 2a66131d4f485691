"""What the reader saw is what the session remembers."""

from __future__ import annotations

import pytest

from headrace import ParamsError, SessionParams, StopReason


def test_a_new_session_has_no_history(session):
    """Nothing is computed before the first call."""
    assert session.tokens == []


def test_the_history_is_prompt_and_completion(model, session, greedy):
    """In that order, with special tokens at the very beginning only."""
    first = session.complete("Hello", sampling=greedy, max_tokens=4, ignore_eog=True)
    second = session.complete(" again", sampling=greedy, max_tokens=4, ignore_eog=True)
    assert session.tokens == [
        *model.tokenize("Hello"),
        *first.tokens,
        *model.tokenize(" again", add_special=False),
        *second.tokens,
    ]


def test_going_on_is_the_same_as_not_stopping(target, greedy):
    """Two generations of four tokens are one of eight."""
    with target.load() as model:
        with model.open_session(SessionParams(reproducible=True)) as session:
            whole = session.complete("Go", sampling=greedy, max_tokens=8, ignore_eog=True)
        with model.open_session(SessionParams(reproducible=True)) as session:
            parts = session.complete("Go", sampling=greedy, max_tokens=4, ignore_eog=True).tokens
            parts += session.complete(None, sampling=greedy, max_tokens=4, ignore_eog=True).tokens
    assert parts == whole.tokens


def test_a_cancelled_stream_leaves_what_was_read(session, greedy):
    """And the session goes on from there as if nothing else had been computed."""
    with session.generate("Hello", sampling=greedy, ignore_eog=True) as stream:
        read = [token for _ in range(3) for token in next(stream).tokens]
    assert stream.result.stop_reason is StopReason.CANCELLED
    assert stream.result.tokens == tuple(read)
    assert session.tokens[-len(read) :] == read


def test_a_cancel_does_not_change_what_follows(target, greedy):
    """A reproducible session that was cancelled writes what an undisturbed one does."""
    with target.load() as model:
        with model.open_session(SessionParams(reproducible=True)) as session:
            whole = session.complete("Hello", sampling=greedy, max_tokens=12, ignore_eog=True)
        with model.open_session(SessionParams(reproducible=True)) as session:
            with session.generate("Hello", sampling=greedy, ignore_eog=True) as stream:
                while len(session.tokens) < len(model.tokenize("Hello")) + 5:
                    next(stream)
            read = stream.result.tokens
            rest = session.complete(
                None, sampling=greedy, max_tokens=12 - len(read), ignore_eog=True
            )
    assert read + rest.tokens == whole.tokens


def test_a_cancel_before_the_first_read_leaves_the_history_as_it_was(session, greedy):
    """Nothing was processed, nothing was seen."""
    session.complete("Hello", sampling=greedy, max_tokens=2, ignore_eog=True)
    before = session.tokens
    session.generate("More", sampling=greedy).close()
    assert session.tokens == before


def test_a_stop_string_is_not_remembered(model, session, greedy):
    """Tokens of which no text was delivered are forgotten."""
    whole = session.complete("Hello", sampling=greedy, max_tokens=10, ignore_eog=True)
    with model.open_session() as other:
        stop = whole.text[3:6]
        done = other.complete("Hello", sampling=greedy, max_tokens=10, ignore_eog=True, stop=stop)
        assert len(done.tokens) < len(whole.tokens)
        assert other.tokens == [*model.tokenize("Hello"), *done.tokens]


def test_the_history_is_a_copy(session, greedy):
    """Changing it changes nothing."""
    session.complete("Hello", sampling=greedy, max_tokens=2, ignore_eog=True)
    tokens = session.tokens
    session.tokens.clear()
    assert session.tokens == tokens


def test_going_on_from_nothing_is_refused(session):
    """A new session needs a prompt."""
    with pytest.raises(ParamsError, match="history is empty"):
        session.generate(None)
