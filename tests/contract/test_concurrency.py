"""Many sessions, many threads, one engine."""

from __future__ import annotations

import threading

from headrace import SessionParams, StopReason
from headrace.testing.threads import run_all


def test_more_streams_than_sequences_flow_when_the_last_is_read_first(target, greedy):
    """Nobody holds a seat by waiting."""
    with target.load(n_sequences=2) as model:
        sessions = [model.open_session() for _ in range(5)]
        streams = [
            session.generate(f"prompt {i}", sampling=greedy, max_tokens=6, ignore_eog=True)
            for i, session in enumerate(sessions)
        ]
        for stream in streams:
            next(stream)
        for stream in reversed(streams):
            list(stream)
        assert [len(stream.result.tokens) for stream in streams] == [6] * 5


def test_streams_read_in_turns_write_what_they_write_alone(target, greedy):
    """In reproducible mode the ids are equal, evicted and rebuilt or not."""
    prompts = ["one", "two words", "and three more"]
    with target.load(n_sequences=2) as model:
        alone = []
        for prompt in prompts:
            with model.open_session(SessionParams(reproducible=True)) as session:
                alone.append(
                    session.complete(prompt, sampling=greedy, max_tokens=8, ignore_eog=True).tokens
                )
        sessions = [model.open_session(SessionParams(reproducible=True)) for _ in prompts]
        streams = [
            session.generate(prompt, sampling=greedy, max_tokens=8, ignore_eog=True)
            for session, prompt in zip(sessions, prompts, strict=True)
        ]
        for _ in range(8):
            for stream in streams:
                next(stream, None)
        assert [stream.result.tokens for stream in streams] == alone


def test_threads_share_the_engine(target, greedy):
    """Each gets all of its own tokens."""
    with target.load(n_sequences=4) as model:
        done = {}

        def talk(number):
            with model.open_session() as session:
                for _ in range(2):
                    done[number] = session.complete(
                        f"thread {number}", sampling=greedy, max_tokens=10, ignore_eog=True
                    )

        run_all(*(lambda number=number: talk(number) for number in range(8)))
        assert [len(done[number].tokens) for number in range(8)] == [10] * 8


def test_a_cancel_from_another_thread_ends_the_stream(target, greedy):
    """The reader gets no error, only an end."""
    with target.load() as model, model.open_session() as session:
        stream = session.generate("x", sampling=greedy, ignore_eog=True)
        started = threading.Event()

        def read():
            for _ in stream:
                started.set()

        def cancel():
            started.wait()
            stream.cancel()

        run_all(read, cancel)
        assert stream.result.stop_reason in (StopReason.CANCELLED, StopReason.CONTEXT_FULL)


def test_closing_the_model_ends_streams_in_other_threads(target, greedy):
    """They get ClosedError, and close returns."""
    from headrace import ClosedError

    model = target.load(n_ctx=4096)
    started = threading.Barrier(4)
    ends = []

    def read(number):
        session = model.open_session()
        stream = session.generate(f"{number}", sampling=greedy, ignore_eog=True)
        next(stream)
        started.wait()
        try:
            for _ in stream:
                pass
        except ClosedError as error:
            ends.append(error)

    def close():
        started.wait()
        model.close()

    run_all(*(lambda number=number: read(number) for number in range(3)), close)
    assert len(ends) == 3


def test_a_shared_beginning_is_computed_once(target, greedy):
    """Where memory can be copied, a second session finds the prefix of the first."""
    with target.load() as model:
        prompt = "a long beginning that several sessions have in common. "
        first = model.open_session()
        first.complete(prompt, sampling=greedy, max_tokens=1, ignore_eog=True)
        second = model.open_session()
        done = second.complete(prompt + "X", sampling=greedy, max_tokens=2, ignore_eog=True)
        if target.name.endswith("attention"):
            assert done.usage.cached_tokens >= 16
        assert len(done.tokens) == 2


def test_a_session_may_move_between_threads(session, greedy):
    """Opened here, used there, closed here."""
    texts = []

    def use():
        texts.append(session.complete("x", sampling=greedy, max_tokens=3, ignore_eog=True).text)

    run_all(use)
    run_all(use)
    assert len(texts) == 2
