"""What is raised in a caller's thread comes out of that caller's call, and hurts nobody else."""

from __future__ import annotations

import ctypes
import functools
import signal
import threading

import anyio
import pytest

import headrace
from headrace import BusyError, DecodeError, PromptLookup, SessionParams, StopReason
from headrace.errors import HeadraceError
from tests.unit.engine.conftest import GREEDY
from tests.unit.engine.test_interrupted_driver import SoftTimeLimit, raised_by_signals


def in_the_middle_of(owner, name):
    """Have the next call of a method be interrupted by a signal handler, once it is under way."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def interrupted(*arguments, **keywords):
        setattr(owner, name, original)
        signal.raise_signal(signal.SIGUSR1)
        return original(*arguments, **keywords)

    setattr(owner, name, interrupted)


def raw_decoder(engine):
    """The fake decoder of a model that has opened a session."""
    return engine.backend.decoders[-1]


@pytest.fixture
def bystander(fake):
    """A session with a history, and a stream of another that has begun; they go on in the end."""
    engine = fake(engine={"n_sequences": 8})
    expected = fake().tokens("other", max_tokens=6)
    session = engine.model.open_session()
    session.complete("hello", max_tokens=2, ignore_eog=True)
    stream = engine.stream("other", max_tokens=6)
    next(stream)
    yield engine
    list(stream)
    assert stream.result.tokens == expected
    assert session.complete(" x", max_tokens=2, ignore_eog=True).tokens


def test_a_time_limit_ends_its_own_stream_and_nothing_else(fake):
    """The victim's session goes on too: from an alarm of the clock, as task queues set it."""
    engine = fake(delay=0.01)
    bystander = engine.model.open_session()
    bystander.complete("hello", max_tokens=2, ignore_eog=True)
    victim = engine.model.open_session()

    def on_alarm(signum, frame):
        raise SoftTimeLimit

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(SoftTimeLimit):
            victim.complete("go", max_tokens=100_000, ignore_eog=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert bystander.complete("x", max_tokens=2, ignore_eog=True).tokens
    seen = victim.tokens
    rest = victim.complete(None, max_tokens=2, ignore_eog=True)
    assert victim.tokens == [*seen, *rest.tokens]


def _generate(engine, session):
    session.complete(" and", sampling=GREEDY, max_tokens=4, ignore_eog=True)


def _speculate(engine, session):
    params = SessionParams(speculate=PromptLookup(ngram=1, min_ngram=1))
    with engine.model.open_session(params) as other:
        other.complete("abc abc", sampling=GREEDY, max_tokens=4, ignore_eog=True)


def _rewind(engine, session):
    session.rewind(to=2)
    session.complete(" and", sampling=GREEDY, max_tokens=1, ignore_eog=True)


def _fork(engine, session):
    with session.fork() as forked:
        forked.complete(" and", sampling=GREEDY, max_tokens=1, ignore_eog=True)


def _load_state(engine, session):
    state = session.state()
    with engine.model.open_session() as other:
        other.load_state(state)
        other.complete(None, sampling=GREEDY, max_tokens=1, ignore_eog=True)


def _adapters(engine, session):
    adapter = engine.model.load_adapter("fake:#seed=3")
    session.set_adapters([adapter])
    session.complete(" and", sampling=GREEDY, max_tokens=1, ignore_eog=True)


CALLS = [
    ("step", _generate),
    ("new_sampler", _generate),
    ("outcome", _generate),
    ("step", _speculate),
    ("truncate", _rewind),
    ("copy", _fork),
    ("score", lambda engine, session: session.score(" a text")),
    ("export_state", lambda engine, session: session.state()),
    ("import_state", _load_state),
    ("use_adapters", _adapters),
    ("device_memory", lambda engine, session: engine.model.memory_usage()),
]


@pytest.mark.parametrize("error", [SoftTimeLimit, MemoryError, RecursionError])
@pytest.mark.parametrize(("name", "call"), CALLS)
def test_it_comes_out_of_every_call_into_the_decoder(bystander, name, call, error):
    """As it was raised; the same call works the next time."""
    session = bystander.model.open_session()
    session.complete("a history of some length", sampling=GREEDY, max_tokens=2, ignore_eog=True)
    in_the_middle_of(raw_decoder(bystander), name)
    with raised_by_signals(error), pytest.raises(error):
        call(bystander, session)
    call(bystander, session)


MODEL_CALLS = [
    ("load_adapter", lambda model: model.load_adapter("fake:#seed=3")),
    ("load_control_vector", lambda model: model.load_control_vector("fake:#seed=3")),
    ("open_embedder", lambda model: model.embed("a text")),
    ("rerank_prompt", lambda model: model.rerank("a", ["b"])),
    ("system_info", lambda model: model.system_info()),
    ("render_chat", lambda model: model.render_chat([{"role": "user", "content": "hi"}])),
    ("recommended_sampling", lambda model: model.recommended_sampling()),
]


@pytest.mark.parametrize(("name", "call"), MODEL_CALLS, ids=[name for name, _ in MODEL_CALLS])
def test_it_comes_out_of_every_call_into_the_model(bystander, name, call):
    """As it was raised; the same call works the next time."""
    decoder_model = bystander.model._model
    if not hasattr(decoder_model, name):
        pytest.skip(f"the fake has no {name}")
    in_the_middle_of(decoder_model, name)
    with raised_by_signals(SoftTimeLimit), pytest.raises(SoftTimeLimit):
        call(bystander.model)
    call(bystander.model)


def test_it_comes_out_of_embedding(fake):
    """Inside the native call; the next one works."""
    calls = []

    def on_step(call_id, rows):
        calls.append(call_id)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGUSR1)

    engine = fake(on_step=on_step)
    expected = engine.model.embed("a text").vectors
    with raised_by_signals(SoftTimeLimit), pytest.raises(SoftTimeLimit):
        engine.model.embed("a text")
    assert engine.model.embed("a text").vectors == expected


def test_it_comes_out_of_a_load(fake):
    """No backend is blamed for it."""
    backend = fake().backend
    in_the_middle_of(backend, "load_decoder_model")
    with raised_by_signals(SoftTimeLimit), pytest.raises(SoftTimeLimit):
        headrace.load_model("fake:", backend=backend)
    headrace.load_model("fake:", backend=backend).close()


def test_what_another_thread_puts_in_comes_out(fake):
    """``PyThreadState_SetAsyncExc``, as some job queues use it: in the reader's thread alone."""
    engine = fake(delay=0.01)
    bystander = engine.model.open_session()
    bystander.complete("hello", max_tokens=2, ignore_eog=True)
    reading, came_out = threading.Event(), []

    def read():
        stream = engine.stream("go")
        try:
            for _ in stream:
                reading.set()
        except BaseException as error:
            came_out.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    reading.wait()
    put = ctypes.pythonapi.PyThreadState_SetAsyncExc
    assert put(ctypes.c_ulong(thread.ident), ctypes.py_object(SoftTimeLimit)) == 1
    thread.join()
    assert [type(error) for error in came_out] == [SoftTimeLimit]
    assert bystander.complete("x", max_tokens=2, ignore_eog=True).tokens


def test_a_deep_stack_in_one_caller_is_that_callers_problem(bystander):
    """At every depth at which it may run out inside a call."""

    def dive(depth):
        if depth:
            return dive(depth - 1)
        return session.complete(" x", sampling=GREEDY, max_tokens=2, ignore_eog=True)

    session = bystander.model.open_session()
    session.complete("a history", max_tokens=1, ignore_eog=True)

    def deepest():
        """How many calls deep this frame may go."""
        try:
            return 1 + deepest()
        except RecursionError:
            return 1

    room = deepest()
    failed = worked = 0
    for left in range(2, 60):
        try:
            dive(room - left)
            worked += 1
        except RecursionError:
            failed += 1
    assert failed
    assert worked
    assert session.complete(" x", max_tokens=1, ignore_eog=True).tokens


def test_a_handler_that_misuses_headrace_gets_its_own_error(fake):
    """A ``BusyError`` that a signal handler lets out is raised where the signal came in."""
    engine = fake()
    victim, other = engine.stream("victim", max_tokens=6), engine.stream("other", max_tokens=6)
    next(other)

    def handler(signum, frame):
        list(other)  # needs a step, in the middle of one

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        in_the_middle_of(raw_decoder(engine), "step")
        session = engine.model.open_session()
        with pytest.raises(BusyError):
            session.complete("x", max_tokens=2)
    finally:
        signal.signal(signal.SIGUSR1, before)
    list(victim)
    list(other)
    assert len(victim.result.tokens) == len(other.result.tokens) == 6


def test_the_message_of_a_lost_context_says_what_is_lost(fake):
    """To the one whose step it was, and to all others: a new session works."""
    engine = fake(fault_at=2, fault="poisoned")
    bystander, session = engine.model.open_session(), engine.model.open_session()
    stream = session.generate("x", max_tokens=8, ignore_eog=True)
    for read in (lambda: list(stream), lambda: bystander.complete("y")):
        with pytest.raises(DecodeError, match="all sessions of the model are lost") as caught:
            read()
        assert "open_session" in str(caught.value)
    assert engine.tokens()


def test_what_is_raised_in_the_driving_thread_of_tasks_ends_one_of_them(fake):
    """The others get all their tokens."""
    raised = []

    def on_step(step_id, rows):
        if step_id == 4:
            raised.append(threading.current_thread())
            raise MemoryError

    engine = fake(on_step=on_step)
    ends = []

    async def read(prompt):
        session = engine.model.open_session()
        try:
            done = await session.acomplete(prompt, sampling=GREEDY, max_tokens=6, ignore_eog=True)
            ends.append(done.stop_reason)
        except HeadraceError as error:
            ends.append(error)

    async def main():
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(read, f"prompt {number}")

    anyio.run(main)
    assert raised[0] is not threading.main_thread()
    failed = [end for end in ends if isinstance(end, HeadraceError)]
    assert len(failed) == 1
    assert isinstance(failed[0].__cause__.__cause__, MemoryError)  # told anew to each who asks
    assert ends.count(StopReason.MAX_TOKENS) == 2
