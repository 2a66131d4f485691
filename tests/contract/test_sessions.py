"""Rewinding, forking, resetting, and what happens when the context is full."""

from __future__ import annotations

import pytest

from headrace import (
    BusyError,
    Capability,
    ContextFullError,
    ParamsError,
    SessionParams,
    StopReason,
    UnsupportedError,
)

REPRODUCIBLE = SessionParams(reproducible=True)


def say(session, prompt, greedy, n=6):
    """A short greedy completion."""
    return session.complete(prompt, sampling=greedy, max_tokens=n, ignore_eog=True)


def test_a_rewound_session_goes_on_as_if_it_had_never_been_further(target, greedy):
    """The same tokens come again."""
    with target.load() as model, model.open_session(REPRODUCIBLE) as session:
        say(session, "Hello", greedy)
        there = len(session.tokens)
        first = say(session, " and then", greedy)
        session.rewind(to=there)
        assert len(session.tokens) == there
        assert say(session, " and then", greedy).tokens == first.tokens


def test_a_session_can_be_rewound_into_its_prompt(target, greedy):
    """What is left of the prompt is the history."""
    with target.load() as model, model.open_session() as session:
        say(session, "a rather long prompt", greedy)
        start = session.tokens[:5]
        session.rewind(to=5)
        assert session.tokens == start
        done = say(session, None, greedy, n=3)
        assert session.tokens == start + list(done.tokens)


def test_a_reset_session_is_like_new(model, session, greedy):
    """It begins with the special tokens again."""
    first = say(session, "Hello", greedy)
    session.reset()
    assert session.tokens == []
    assert say(session, "Hello", greedy).usage.prompt_tokens == first.usage.prompt_tokens


@pytest.mark.parametrize("to", [-1, 10**6, 1.0, None, True])
def test_there_is_no_rewinding_beyond_the_history(session, greedy, to):
    """The message says how long it is."""
    say(session, "Hello", greedy)
    length = len(session.tokens)
    with pytest.raises(ParamsError, match=f"from 0 to {length}"):
        session.rewind(to=to)
    assert len(session.tokens) == length


def test_a_fork_goes_its_own_way(target, greedy):
    """Both write what they would have written alone."""
    with target.load() as model:
        with model.open_session(REPRODUCIBLE) as alone:
            say(alone, "A story about", greedy)
            dogs = say(alone, " dogs", greedy).tokens
        with model.open_session(REPRODUCIBLE) as session:
            say(session, "A story about", greedy)
            with session.fork() as forked:
                assert forked.tokens == session.tokens
                cats = say(forked, " cats", greedy).tokens
                assert say(session, " dogs", greedy).tokens == dogs
                assert len(cats) == 6
                assert forked.tokens[-6:] == list(cats)


def test_a_fork_shares_the_memory_where_it_can_be_copied(target, greedy):
    """Nothing but the pending token and the new prompt is computed."""
    with target.load() as model, model.open_session() as session:
        say(session, "a beginning that is long enough to be worth copying", greedy)
        forked = session.fork()
        done = say(forked, " on", greedy, n=1)
        if not target.name.startswith("fake-recurrent"):
            assert done.usage.cached_tokens == len(session.tokens) - 1


def test_a_session_that_generates_cannot_be_cut_or_forked(session, greedy):
    """Its history is being written."""
    stream = session.generate("Hello", sampling=greedy, ignore_eog=True)
    next(stream)
    for call in (lambda: session.rewind(to=0), session.reset, session.fork):
        with pytest.raises(BusyError, match=r"stream\.cancel\(\)"):
            call()
    stream.cancel()
    session.reset()


@pytest.mark.parametrize(
    "how", ["max_tokens", "stop_string", "cancelled", "timed_out", "rewound", "forked"]
)
def test_a_session_goes_on_after_every_end(target, greedy, how):
    """``generate(None)`` appends to what was seen."""
    with target.load() as model:
        session = model.open_session()
        text = say(session, "Once upon", greedy, n=8).text
        if how == "stop_string":
            session.reset()
            session.complete("Once upon", sampling=greedy, ignore_eog=True, stop=text[4:6])
        elif how == "cancelled":
            with session.generate(None, sampling=greedy, ignore_eog=True) as stream:
                next(stream)
        elif how == "timed_out":
            list(session.generate(None, sampling=greedy, timeout=0.0))
        elif how == "rewound":
            session.rewind(to=len(session.tokens) - 3)
        elif how == "forked":
            session = session.fork()
        before = session.tokens
        done = say(session, None, greedy, n=4)
        assert session.tokens == before + list(done.tokens)


def shifting(target, **params):
    """A model and a session that forgets, or None if its memory cannot."""
    model = target.load(n_ctx=256)
    if Capability.SHIFT not in model.capabilities:
        with pytest.raises(UnsupportedError, match="shift"):
            model.open_session(SessionParams(on_context_full="shift", **params))
        model.close()
        pytest.skip("its memory cannot be shifted, and it says so")
    return model, model.open_session(SessionParams(on_context_full="shift", **params))


def test_a_shifting_session_writes_more_than_the_context_holds(target, greedy):
    """What was kept is still there, and the end of what was written."""
    model, session = shifting(target, keep=4)
    with model:
        done = say(session, "Begin", greedy, n=600)
        assert len(done.tokens) == 600
        assert done.stop_reason is StopReason.MAX_TOKENS
        history = session.tokens
        assert len(history) <= 257
        assert history[:4] == model.tokenize("Begin")[:4]
        assert tuple(history[-50:]) == done.tokens[-50:]
        more = say(session, " again", greedy, n=5)
        assert session.tokens[-5:] == list(more.tokens)


def test_a_shifting_session_makes_room_for_a_prompt(target, greedy):
    """The oldest tokens after those that are kept go."""
    model, session = shifting(target, keep=2)
    with model:
        say(session, [65] * 200, greedy, n=10)
        prompt = [70] * 100
        say(session, prompt, greedy, n=10)
        assert session.tokens[:2] == [65, 65]
        assert session.tokens[-110:-10] == prompt
        with pytest.raises(ContextFullError):
            session.generate([66] * 300)


def test_a_full_context_ends_when_everything_is_kept(target, greedy):
    """There is nothing to forget."""
    model, session = shifting(target, keep=1000)
    with model:
        assert say(session, "x", greedy, n=600).stop_reason is StopReason.CONTEXT_FULL


def test_a_reproducible_session_does_not_shift():
    """What was forgotten could not be computed again."""
    with pytest.raises(ParamsError, match="reproducible"):
        SessionParams(reproducible=True, on_context_full="shift")
