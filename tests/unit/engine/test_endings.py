"""How streams, sessions and engines end: what goes wrong in a step, and who is told."""

from __future__ import annotations

import gc
import threading

import anyio
import pytest

from headrace import (
    BusyError,
    ClosedError,
    ContextFullError,
    DecodeError,
    ModelMemoryError,
    StopReason,
)


def test_an_error_in_a_row_ends_that_stream_only(fake):
    """Its neighbour in the same step goes on."""
    engine = fake(fault_at=4, fault="row")
    streams = [engine.stream(f"{number}", max_tokens=6) for number in range(2)]
    ends = []
    for stream in streams:
        try:
            list(stream)
            ends.append(len(stream.result.tokens))
        except DecodeError as error:
            ends.append(error)
    assert sorted(ends, key=str)[0] == 6
    assert isinstance(sorted(ends, key=str)[1], DecodeError)


def test_a_stream_that_failed_fails_again(fake):
    """Its result raises what ended it; the session can go on from what was seen."""
    engine = fake(fault_at=3, fault="row")
    with engine.model.open_session() as session:
        stream = session.generate("x", max_tokens=8)
        with pytest.raises(DecodeError, match="row") as first:
            list(stream)
        with pytest.raises(DecodeError) as second:
            _ = stream.result
        assert str(second.value) == str(first.value)
        assert second.value is not first.value
        seen = session.tokens
        done = session.complete(None, max_tokens=2, ignore_eog=True)
        assert session.tokens == seen + list(done.tokens)


def test_a_failed_step_leaves_the_sessions_usable(fake):
    """Their memory is rebuilt."""
    engine = fake(fault_at=3, fault="failed")
    with engine.model.open_session() as session:
        with pytest.raises(DecodeError) as caught:
            list(session.generate("x", max_tokens=8))
        assert not caught.value.poisoned
        assert session.complete(None, max_tokens=2, ignore_eog=True).tokens


def test_a_poisoned_context_is_lost_and_the_model_is_not(fake):
    """All its sessions say so; a new session gets a new context."""
    engine = fake(fault_at=3, fault="poisoned")
    bystander = engine.model.open_session()
    bystander.complete("y", max_tokens=1)
    with engine.model.open_session() as session:
        with pytest.raises(DecodeError) as caught:
            list(session.generate("x", max_tokens=8))
        assert caught.value.poisoned
        with pytest.raises(DecodeError):
            session.generate("x")
    with pytest.raises(DecodeError):
        bystander.generate("y")
    assert len(engine.tokens()) == 8
    assert len(engine.backend.decoders) == 1


def test_a_defect_of_the_decoder_is_a_decode_error(fake):
    """Its message names the backend, the call and the exception; nobody else is hurt."""
    engine = fake(fault_at=3, fault="raise")
    bystander = engine.model.open_session()
    bystander.complete("y", max_tokens=1)
    with pytest.raises(DecodeError, match="'fake' raised RuntimeError in step") as caught:
        list(engine.stream())
    assert not caught.value.poisoned
    assert bystander.complete(" and", max_tokens=2, ignore_eog=True).tokens


def test_a_step_that_was_interrupted_for_nobody_is_planned_again(fake):
    """The reader notices nothing."""
    expected = fake().tokens(max_tokens=8)
    engine = fake(fault_at=(1, 3, 5), fault="interrupted")
    assert engine.tokens(max_tokens=8) == expected


def test_a_step_that_ends_between_computing_and_sampling_is_run_again(fake):
    """All tokens are in memory and none came out: the last one is computed once more."""
    expected = fake().tokens(max_tokens=8)
    engine = fake()
    engine.tokens(max_tokens=1)
    decoder = engine.backend.decoders[0]
    compute = decoder._compute

    def compute_and_stop(step, limit, fault):
        if step.step_id % 3 == 0:
            decoder._stop_after(step.rows, 10**6)
        else:
            compute(step, limit, fault)

    decoder._compute = compute_and_stop
    assert engine.tokens(max_tokens=8) == expected


def test_a_memory_that_says_it_is_full_is_tried_again_with_less(fake):
    """Evicting and halving, without the caller noticing."""
    expected = fake().tokens(max_tokens=8)
    engine = fake(fault_at=(2, 3), fault="no_room")
    idle = [engine.model.open_session() for _ in range(3)]
    for session in idle:
        session.complete("idle", max_tokens=0)
    assert engine.tokens(max_tokens=8) == expected


def test_sessions_take_turns_when_memory_is_short(fake):
    """Each alone fits, all together do not: all finish."""
    engine = fake(engine={"n_ctx": 64, "n_sequences": 4})
    streams = [engine.stream("x" * 20, max_tokens=20) for _ in range(4)]
    for _ in range(20):
        for stream in streams:
            next(stream, None)
    assert [len(stream.result.tokens) for stream in streams] == [20] * 4


def test_a_context_full_session_keeps_what_it_wrote(fake):
    """And says so again when it is asked to go on."""
    engine = fake(engine={"n_ctx": 32})
    with engine.model.open_session() as session:
        done = session.complete("x" * 8, ignore_eog=True)
        assert done.stop_reason is StopReason.CONTEXT_FULL
        with pytest.raises(ContextFullError):
            session.generate(None)
        with pytest.raises(ContextFullError):
            session.generate("more")


def test_closing_the_model_in_the_middle_of_a_step_waits_for_its_end(fake):
    """A close that comes from inside a step is carried out when the step is over."""
    closed = []

    def on_step(step_id, rows):
        if step_id == 3 and not closed:
            engine.model.close()
            closed.append(len(engine.backend.decoders))

    engine = fake(on_step=on_step)
    with pytest.raises(ClosedError):
        list(engine.stream())
    assert closed == [1]
    assert engine.backend.decoders == []


def test_a_cancel_from_inside_a_step_interrupts_it(fake):
    """As a signal handler does it: no lock is taken, nothing waits."""
    streams = []

    def on_step(step_id, rows):
        if step_id == 3:
            streams[0].cancel()

    engine = fake(on_step=on_step)
    streams.append(engine.stream())
    read = sum(len(chunk.tokens) for chunk in streams[0])
    assert read == 2
    assert streams[0].result.stop_reason is StopReason.CANCELLED


def test_reading_a_stream_from_inside_a_step_is_refused(fake):
    """It would wait for itself: the driver's own stream, and any other that needs a step."""
    refused = []

    def on_step(step_id, rows):
        if step_id == 3:
            for stream in streams:
                with pytest.raises(BusyError) as caught:
                    list(stream)
                refused.append(caught.value)

    engine = fake(on_step=on_step)
    streams = [engine.stream("a", max_tokens=8), engine.stream("b", max_tokens=8)]
    for stream in streams:
        list(stream)
    assert len(refused) == 2
    assert [len(stream.result.tokens) for stream in streams] == [8, 8]


def test_a_stream_dropped_inside_a_step_is_cancelled(fake):
    """The finalizer may run in the driver itself; the session is free afterwards."""

    def on_step(step_id, rows):
        if step_id == 4:
            dropped.clear()

    engine = fake(on_step=on_step)
    session = engine.model.open_session()
    dropped = [session.generate("dropped", ignore_eog=True)]
    next(dropped[0])
    expected = fake().tokens(max_tokens=8)
    stream = engine.stream(max_tokens=8)
    list(stream)
    assert stream.result.tokens == expected
    assert session.complete(None, max_tokens=1, ignore_eog=True).tokens


def test_a_session_dropped_without_closing_gives_its_memory_back(fake):
    """With the next step of anybody."""
    engine = fake()
    engine.model.open_session().complete("x" * 30, max_tokens=0)
    assert engine.backend.decoders[0].used > 0
    engine.tokens(max_tokens=1)
    engine.tokens(max_tokens=1)
    assert engine.backend.decoders[0].used < 30


@pytest.mark.parametrize("how", ["thread", "task"])
def test_a_defect_outside_a_step_is_a_decode_error_too(fake, how):
    """Planning calls the decoder as well; nobody is left waiting, and the model survives."""
    engine = fake()
    session = engine.model.open_session()
    session.complete("a prompt to be cut", max_tokens=3, ignore_eog=True)
    session.rewind(to=4)

    def truncate(sequence, length):
        raise RuntimeError("a defect")

    engine.backend.decoders[0].truncate = truncate
    go_on = {
        "thread": lambda: session.complete(None),
        "task": lambda: anyio.run(session.acomplete, None),
    }
    with pytest.raises(DecodeError, match="RuntimeError in truncate: a defect") as caught:
        go_on[how]()
    assert not caught.value.poisoned
    assert isinstance(caught.value.__cause__.__cause__, RuntimeError)
    assert len(engine.tokens()) == 8


def test_a_context_that_cannot_be_replaced_does_not_hang_the_model(fake):
    """After a poisoned step and no memory for a new context, later calls still answer."""
    engine = fake(fault_at=2, fault="poisoned")
    session = engine.model.open_session()
    with pytest.raises(DecodeError):
        session.complete("x", max_tokens=5)
    open_decoder = engine.model._model.open_decoder

    def refuse(params):
        raise ModelMemoryError("no memory")

    engine.model._model.open_decoder = refuse
    for _ in range(2):
        with pytest.raises(ModelMemoryError):
            engine.model.open_session()
    engine.model._model.open_decoder = open_decoder
    assert len(engine.tokens()) == 8


def test_sessions_that_are_dropped_in_the_middle_leave_nothing(fake):
    """A loop that is left early and forgotten is out of the plan."""
    engine = fake()
    keeper = engine.model.open_session()
    for _ in range(20):
        for _ in engine.stream():
            break
        gc.collect()
    keeper.complete("x", max_tokens=1)
    assert len(keeper._engine.state.active) == 0
    assert len(keeper._engine.state.sequences) == 1


def test_two_threads_may_close_a_model_at_once(fake):
    """The weights are freed once, and after the context."""
    engine = fake()
    engine.tokens(max_tokens=1)
    threads = [threading.Thread(target=engine.model.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.backend.decoders == []
