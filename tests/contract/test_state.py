"""Saved sessions go on as if they had never been away, on every kind of memory."""

from __future__ import annotations

import io
import random

import pytest

from headrace import (
    BusyError,
    ContextFullError,
    SamplingParams,
    SessionParams,
    StateError,
)

PROMPT = "The quick brown fox jumps over the lazy dog, and then "
SEEDED = SamplingParams(temperature=1.0, seed=7)


def begun(model, *, reproducible=False):
    """A session with a history of two turns."""
    session = model.open_session(SessionParams(reproducible=reproducible))
    session.complete(PROMPT, sampling=SEEDED, max_tokens=9)
    session.complete(" more", sampling=SEEDED, max_tokens=5)
    return session


def go_on(session, sampling, max_tokens=12):
    """What it writes next."""
    return session.complete(" on", sampling=sampling, max_tokens=max_tokens, ignore_eog=True).tokens


@pytest.mark.parametrize("reproducible", [False, True])
@pytest.mark.parametrize("sampled", [False, True])
def test_going_on_after_a_load_is_going_on(target, model, greedy, reproducible, sampled):
    """The same tokens with and without the detour, and nothing is computed again."""
    sampling = SEEDED if sampled else greedy
    with begun(model, reproducible=reproducible) as session:
        data = session.state()
        history = session.tokens
        expected = go_on(session, sampling)
    with model.open_session(SessionParams(reproducible=reproducible)) as other:
        other.load_state(data)
        assert other.tokens == history
        done = other.complete(" on", sampling=sampling, max_tokens=12, ignore_eog=True)
        assert done.tokens == expected
        again = reproducible and target.windowed
        assert done.usage.cached_tokens == (0 if again else len(history) - 1)


def test_another_load_of_the_model_goes_on_too(target, greedy, tmp_path):
    """The state outlives the model, in a file."""
    with target.load() as model, begun(model, reproducible=True) as session:
        session.save_state(tmp_path / "state")
        expected = go_on(session, greedy)
    with target.load() as model:
        other = model.open_session(SessionParams(reproducible=True))
        other.load_state(tmp_path / "state")
        assert go_on(other, greedy) == expected


def test_saving_changes_nothing(model, greedy):
    """What a session writes after being saved is what it writes without."""
    with begun(model, reproducible=True) as saved, begun(model, reproducible=True) as left:
        saved.state()
        assert saved.tokens == left.tokens
        assert go_on(saved, greedy) == go_on(left, greedy)


def test_a_session_loads_over_what_it_was(model, greedy):
    """Its own history is gone, and memory with it."""
    with begun(model, reproducible=True) as session, begun(model, reproducible=True) as other:
        data = session.state()
        other.complete(" something else", sampling=greedy, max_tokens=4)
        other.load_state(data)
        assert other.tokens == session.tokens
        assert go_on(other, greedy) == go_on(session, greedy)


def test_rewound_forked_and_reset_after_a_load(model, greedy):
    """A loaded session does all that others do."""
    with begun(model, reproducible=True) as session:
        data = session.state()
        length = len(session.tokens)
        loaded = model.open_session(SessionParams(reproducible=True))
        loaded.load_state(data)
        with loaded.fork() as forked:
            assert forked.tokens == session.tokens
            expected = go_on(session, greedy)
            assert go_on(forked, greedy) == expected
        loaded.rewind(to=length - 3)
        session.rewind(to=length - 3)
        assert go_on(loaded, greedy) == go_on(session, greedy)
        loaded.load_state(data)
        loaded.reset()
        assert loaded.tokens == []
        with model.open_session(SessionParams(reproducible=True)) as fresh:
            assert go_on(loaded, greedy) == go_on(fresh, greedy)


def test_saved_before_anything_was_computed(model, greedy):
    """An empty session, a loaded one, and one whose memory was lost are saved all the same."""
    with model.open_session() as empty, begun(model) as session:
        session.load_state(empty.state())
        assert session.tokens == []
    with begun(model, reproducible=True) as session:
        twice = model.open_session(SessionParams(reproducible=True))
        twice.load_state(session.state())
        thrice = model.open_session(SessionParams(reproducible=True))
        thrice.load_state(twice.state())
        assert go_on(thrice, greedy) == go_on(session, greedy)


def test_more_loaded_sessions_than_seats(target, greedy):
    """A loaded memory is lost to an eviction like any other, and rebuilt."""
    with target.load(n_sequences=2) as model, begun(model, reproducible=True) as session:
        data = session.state()
        expected = go_on(session, greedy)
        loaded = [model.open_session(SessionParams(reproducible=True)) for _ in range(4)]
        for each in loaded:
            each.load_state(data)
        streams = [
            each.generate(" on", sampling=greedy, max_tokens=12, ignore_eog=True) for each in loaded
        ]
        for _ in range(12):
            for stream in streams:
                next(stream, None)
        assert [stream.result.tokens for stream in streams] == [expected] * 4


def test_a_busy_session_is_neither_saved_nor_loaded(model, greedy):
    """And goes on as if nobody had asked; cancelled, it is saved as it was read."""
    with begun(model) as session:
        data = session.state()
        stream = session.generate(" x", sampling=greedy, ignore_eog=True)
        next(stream)
        for call in (session.state, lambda: session.load_state(data)):
            with pytest.raises(BusyError):
                call()
        next(stream)
        stream.cancel()
        read = session.tokens
        cancelled = session.state()
        with model.open_session() as other:
            other.load_state(cancelled)
            assert other.tokens == read


def test_while_others_generate(model, greedy):
    """Saving takes its turn between the steps of a stream that others read."""
    with begun(model, reproducible=True) as session, model.open_session() as busy:
        expected = [session.state()]
        with busy.generate("b", sampling=greedy, max_tokens=30, ignore_eog=True) as stream:
            for _ in stream:
                expected.append(session.state())
        assert set(expected) == {expected[0]}


def test_any_changed_byte_is_found(model):
    """A state that is damaged anywhere is refused, and the session stays as it was."""
    with model.open_session() as session:
        session.complete("ab", sampling=SEEDED, max_tokens=1)
        data = session.state()
        random_ = random.Random(1)
        places = range(len(data)) if len(data) < 2000 else random_.sample(range(len(data)), 300)
        history = session.tokens
        for place in [*range(64), *places, len(data) - 1]:
            changed = bytearray(data)
            changed[place] ^= 1 << random_.randrange(8)
            with pytest.raises(StateError):
                session.load_state(changed)
        for length in (0, 1, 8, 16, len(data) // 2, len(data) - 1):
            with pytest.raises(StateError):
                session.load_state(data[:length])
        with pytest.raises(StateError):
            session.load_state(data + b"\0")
        assert session.tokens == history


def test_a_history_that_does_not_fit(target):
    """The error names both lengths; the session stays as it was."""
    with target.load(n_ctx=512) as model, model.open_session() as session:
        session.complete([65] * 300, max_tokens=0)
        data = session.state()
    with target.load(n_ctx=256) as model, begun(model) as session:
        history = session.tokens
        with pytest.raises(ContextFullError, match="300"):
            session.load_state(data)
        assert session.tokens == history


def test_buffers(model, greedy):
    """Open files and bytes of every kind."""
    with begun(model) as session, model.open_session() as other:
        buffer = io.BytesIO()
        session.save_state(buffer)
        data = buffer.getvalue()
        assert data == session.state()
        for source in (data, bytearray(data), memoryview(data), io.BytesIO(data)):
            other.reset()
            other.load_state(source)
            assert other.tokens == session.tokens


@pytest.mark.anyio
async def test_tasks_save_and_load(model, greedy, tmp_path, anyio_backend):
    """The asynchronous forms, beside a stream of another task."""
    with begun(model, reproducible=True) as session:
        await session.asave_state(tmp_path / "state")
        other = model.open_session(SessionParams(reproducible=True))
        await other.aload_state(tmp_path / "state")
        done = await other.acomplete(" on", sampling=greedy, max_tokens=12, ignore_eog=True)
        assert done.tokens == go_on(session, greedy)
