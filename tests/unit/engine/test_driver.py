"""The driver's calls beside steps: they take turns with readers, and survive what steps survive."""

from __future__ import annotations

import contextlib
import threading

import pytest

from headrace import BusyError, ClosedError, DecodeError
from headrace.common.work import Cancelled, Work
from headrace.engine.checked import Reported
from headrace.requests.score import ScoreRequest
from tests.unit.engine.test_interrupted_driver import ERRORS, InterruptAt, places


def engine_of(model):
    """The engine behind a model, once a session was opened."""
    with model.open_session() as session:
        return session._engine


def test_a_call_gets_its_turn_while_readers_never_rest(fake):
    """And the readers theirs while callers never rest."""
    engine = fake(engine={"n_sequences": 4})
    inner = engine_of(engine.model)
    stop = threading.Event()
    calls, tokens = [0, 0], [0, 0]

    def call(index):
        while not stop.is_set():
            calls[index] += inner.exclusively(lambda: 1)

    def read(index):
        for _ in engine.stream(f"reader {index}"):
            tokens[index] += 1
            if stop.is_set():
                return

    threads = [
        threading.Thread(target=work, args=(index,)) for work in (call, read) for index in (0, 1)
    ]
    for thread in threads:
        thread.start()
    while min(calls + tokens) < 50:
        stop.wait(0.01)
    stop.set()
    for thread in threads:
        thread.join()


def test_a_call_from_inside_a_step_is_refused(fake):
    """As from a signal handler: it could only wait for itself."""
    refused = []

    def on_step(step_id, rows):
        with pytest.raises(BusyError):
            session.state()
        refused.append(step_id)

    engine = fake(on_step=on_step)
    session = engine.model.open_session()
    engine.tokens(max_tokens=2)
    assert refused


def test_a_closed_model_ends_the_wait(fake):
    """A call that waits for its turn, and one that comes later."""
    engine = fake()
    session = engine.model.open_session()
    inner = session._engine
    waiting = threading.Event()
    ended = []

    def call():
        waiting.set()
        with pytest.raises(ClosedError):
            inner.exclusively(lambda: None)
        ended.append(True)

    def first():
        thread = threading.Thread(target=call)
        thread.start()
        waiting.wait()
        closer = threading.Thread(target=engine.model.close)
        closer.start()
        while inner.failure is None:
            pass
        return thread, closer

    for thread in inner.exclusively(first):
        thread.join()
    assert ended
    with pytest.raises(ClosedError):
        session.state()


def test_an_unusable_context_ends_its_sessions(fake):
    """A call that poisons it does what a step would do."""
    engine = fake()
    session, other = engine.model.open_session(), engine.model.open_session()
    stream = other.generate("x", max_tokens=5, ignore_eog=True)

    def fail():
        raise Reported(DecodeError("broken", poisoned=True))

    with pytest.raises(DecodeError, match="all sessions of the model are lost"):
        session._engine.exclusively(fail)
    with pytest.raises(DecodeError):
        next(stream)
    assert engine.tokens(max_tokens=3)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("truncation", ["any", "none"])
def test_no_bytecode_of_saving_and_loading_is_a_bad_place_to_die(fake, truncation, error):
    """The session goes on as it would have, and so does another's stream."""
    options = {"truncation": truncation, "can_copy": truncation == "any"}
    engine = fake(**options)
    expected = engine.tokens("saved", max_tokens=9)
    expected_other = engine.tokens("other", max_tokens=6)

    kept = []  # a finalizer would be a place of its own

    def run(position):
        session, other = engine.model.open_session(), engine.stream("other", max_tokens=6)
        kept.append((session, other))
        first = session.complete(
            "saved", sampling=other._generation.run.sampling, max_tokens=4, ignore_eog=True
        )
        next(other)
        interrupter = InterruptAt(position, error)
        with contextlib.suppress(error), interrupter:
            session.load_state(session.state())
        list(other)
        assert other.result.tokens == expected_other, position
        rest = session.complete(
            None, sampling=other._generation.run.sampling, max_tokens=5, ignore_eog=True
        )
        assert first.tokens + rest.tokens == expected, position
        return interrupter.fired

    run(10**9)  # Python 3.12 sees bytecodes only in code that was traced before
    position, step = places(error)
    while run(position):
        position += step
    assert position > 50


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("truncation", ["any", "none"])
def test_no_bytecode_of_scoring_is_a_bad_place_to_die(fake, truncation, error):
    """The session and another's stream go on, and the score is what it was the next time."""
    options = {"truncation": truncation, "can_copy": truncation == "any"}
    engine = fake(engine={"n_batch": 16, "n_sequences": 2}, **options)
    expected_other = engine.tokens("other", max_tokens=4)
    with engine.model.open_session() as session:
        session.complete("a history of some length", max_tokens=0)
        history, expected = session.tokens, session.score("and a text")

        kept = []

        def run(position):
            other = engine.stream("other", max_tokens=4)
            kept.append(other)
            next(other)
            interrupter = InterruptAt(position, error)
            with contextlib.suppress(error), interrupter:
                session.score("and a text")
            list(other)
            assert other.result.tokens == expected_other, position
            assert session.tokens == history
            assert session.score("and a text") == expected, position
            return interrupter.fired

        run(10**9)  # Python 3.12 sees bytecodes only in code that was traced before
        position, _ = places(error)
        while run(position):
            position += 7  # they are many; the places of one call are all the same
        assert position > 200


@pytest.mark.parametrize("fault", ["no_room", "interrupted"])
def test_a_score_survives_what_steps_survive(fake, fault):
    """It is computed again, with the same result."""
    for step in range(1, 8):
        engine = fake(engine={"n_batch": 8}, fault_at=(step,), fault=fault)
        expected = fake(engine={"n_batch": 8}).model.open_session().score("text " * 6)
        assert engine.model.open_session().score("text " * 6) == expected


@pytest.mark.parametrize("fault", ["failed", "poisoned", "raise"])
def test_a_score_that_fails_says_so(fake, fault):
    """And the next session scores."""
    engine = fake(engine={"n_batch": 8}, fault_at=(2,), fault=fault)
    expected = fake(engine={"n_batch": 8}).model.open_session().score("text " * 6)
    session = engine.model.open_session()
    with pytest.raises(DecodeError):
        session.score("text " * 6)
    if fault == "poisoned":
        with pytest.raises(DecodeError):
            session.score("text " * 6)
        session = engine.model.open_session()
    assert session.score("text " * 6) == expected


def test_a_cancelled_score_ends_inside_its_call(fake):
    """From another thread; nothing is left behind."""
    engine = fake(delay=3600)
    session = engine.model.open_session()
    work = Work()
    threading.Timer(0.05, work.cancel).start()
    with pytest.raises(Cancelled):
        session.scored(ScoreRequest(text="a text"), work)
    assert session.tokens == []


def test_a_model_that_closes_ends_a_score(fake):
    """Between two calls, with ``ClosedError``."""
    engine = fake(delay=0.02, engine={"n_batch": 8})  # many calls, so that one is between two
    session = engine.model.open_session()

    def close(share):
        engine.model.close()

    with pytest.raises(ClosedError):
        session.score("text " * 400, progress=close)
