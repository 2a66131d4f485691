"""A child that hangs or is stopped: time-outs, cancels, closing and the watchdog hold."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

import anyio
import pytest

import headrace
from headrace import (
    BackendCrashedError,
    ClosedError,
    ModelLoadCancelledError,
    ModelParams,
    SamplingParams,
    StopReason,
)

GREEDY = SamplingParams(temperature=0.0)
HUNG = "brought nothing forward for 2 s and was ended"
MESSAGES = [{"role": "user", "content": "Hello"}]
PROCESS = ModelParams(isolation="process")


class Interrupted(KeyboardInterrupt):
    """What the test's signal handler raises."""


@pytest.fixture
def interrupted():
    """Makes a call that a signal handler raises in after so many seconds."""

    def on_alarm(number, frame):
        raise Interrupted

    def run(seconds, call):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    before = signal.signal(signal.SIGALRM, on_alarm)
    yield run
    signal.signal(signal.SIGALRM, before)


def _stop(model):
    os.kill(model.client.worker.pid, signal.SIGSTOP)
    # A thread of it may run a little longer.
    os.waitid(os.P_PID, model.client.worker.pid, os.WSTOPPED)


def _go_on(model):
    os.kill(model.client.worker.pid, signal.SIGCONT)


def _is_gone(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


def _children():
    """Processes that this one has started and not reaped."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError):
            told = Path(f"/proc/self/task/{task}/children").read_text(encoding="ascii")
            found |= {int(each) for each in told.split()}
    return found


def _calls(model):
    """All that crosses to the child, each on a session of its own."""
    begun = [model.open_session() for _ in range(12)]
    for session in begun:
        session.complete("Once", sampling=GREEDY, max_tokens=2)
    state = begun[0].state()
    rendered = model.render_chat(MESSAGES)
    stream = begun[11].generate("on", sampling=GREEDY)
    next(stream)
    return {
        "tokenize": lambda: model.tokenize("a"),
        "detokenize": lambda: model.detokenize([97]),
        "render_chat": lambda: model.render_chat(MESSAGES),
        "parse": lambda: rendered.parser.parse("text", partial=True),
        "open_session": model.open_session,
        "embed": lambda: model.embed(["a", "b"]),
        "rerank": lambda: model.rerank("a", ["b"]),
        "model.memory_usage": model.memory_usage,
        "system_info": model.system_info,
        "load_adapter": lambda: model.load_adapter("fake:#seed=1"),
        "generate": lambda: begun[0].generate("a"),
        "complete": lambda: begun[1].complete("a"),
        "chat": lambda: begun[2].chat(MESSAGES),
        "score": lambda: begun[3].score("a"),
        "state": begun[4].state,
        "load_state": lambda: begun[5].load_state(state),
        "rewind": lambda: begun[6].rewind(to=1),
        "fork": begun[7].fork,
        "memory_usage": begun[8].memory_usage,
        "tokens": lambda: begun[9].tokens,
        "set_adapters": lambda: begun[10].set_adapters([]),
        "read": lambda: list(stream),
    }


def test_the_watchdog_ends_whatever_waits_for_a_child_that_is_stopped(load, side_by_side):
    """Every call, with the error that says what was done."""
    model = load(watchdog=2)
    calls = _calls(model)
    _stop(model)
    for name, found in zip(calls, side_by_side(list(calls.values())), strict=True):
        assert isinstance(found, BackendCrashedError), (name, found)
        assert HUNG in found.message, (name, found)
    assert _is_gone(model.client.worker.pid)


def test_the_watchdog_notices_a_step_that_hangs_though_the_child_answers(load, side_by_side):
    """Its other threads tell that nothing was brought forward."""
    model = load("fake:#fault=hang&fault_at=1", watchdog=2)
    session = model.open_session()
    (found,) = side_by_side([lambda: session.complete("a")])
    assert HUNG in found.message


def _requests(model, **options):
    """Generations of every kind, with these options."""
    sessions = [model.open_session() for _ in range(4)]
    sessions[3].complete("Once", sampling=GREEDY, max_tokens=1)
    stream = sessions[3].generate("a", sampling=GREEDY, **options)
    next(stream)

    def read():
        list(stream)
        return stream.result

    return sessions, [
        lambda: sessions[0].complete("a", **options),
        lambda: sessions[1].complete_chat(MESSAGES, **options),
        lambda: sessions[2].complete_infill("a", "b", **options),
        read,
    ]


def test_a_timeout_holds_while_the_child_is_stopped(load, side_by_side):
    """The end is a value, as ever; and afterwards the sessions are what they should be."""
    model = load()
    expected = load().open_session().complete("b", sampling=GREEDY, max_tokens=3).tokens
    sessions, requests = _requests(model, timeout=1)
    _stop(model)
    for found in side_by_side(requests):
        assert getattr(found, "stop_reason", found) is StopReason.TIMED_OUT
        assert found.receipt.reason == "its process did not answer"
    # Once more on the same session, which has an end to be told of by now.
    (found,) = side_by_side([lambda: sessions[0].complete("a", timeout=0.1)])
    assert found.stop_reason is StopReason.TIMED_OUT
    _go_on(model)
    for session in sessions:
        session.reset()
        assert session.tokens == []
        assert session.complete("b", sampling=GREEDY, max_tokens=3).tokens == expected


def test_a_timeout_holds_in_a_step_that_hangs(load, side_by_side):
    """No watchdog is needed for it."""
    session = load("fake:#fault=hang&fault_at=1").open_session()
    (found,) = side_by_side([lambda: session.complete("a", timeout=1)])
    assert found.stop_reason is StopReason.TIMED_OUT


def test_what_was_read_before_a_timeout_is_remembered(load, side_by_side):
    """When the child goes on it is told how far the reader was."""
    model = load()
    session = model.open_session()
    stream = session.generate("Once", sampling=GREEDY, timeout=1)
    read = [next(stream).tokens for _ in range(3)]
    _stop(model)
    side_by_side([lambda: list(stream)])
    assert stream.result.stop_reason is StopReason.TIMED_OUT
    _go_on(model)
    seen = [token for tokens in read for token in tokens]
    assert list(stream.result.tokens[: len(seen)]) == seen
    assert session.tokens == [*model.tokenize("Once"), *stream.result.tokens]


def test_a_cancel_ends_a_reader_of_a_child_that_is_stopped(load, side_by_side):
    """And the result is there, though the child cannot tell its part."""
    model = load()
    stream = model.open_session().generate("Once", sampling=GREEDY)
    next(stream)
    _stop(model)
    threading.Timer(0.2, stream.cancel).start()
    assert isinstance(side_by_side([lambda: list(stream)])[0], list)
    assert stream.result.stop_reason is StopReason.CANCELLED


@pytest.mark.parametrize("reference", ["fake:#mean_length=0", "fake:#fault=hang&fault_at=1"])
def test_closing_ends_a_child_that_hangs(load, side_by_side, reference):
    """A step is under way, or the child was stopped, or both; with the default watchdog."""
    for stops in (False, True):
        model = load(reference)
        stream = model.open_session().generate("Once", sampling=GREEDY)
        reader = threading.Thread(target=_read_until_closed, args=(stream,))
        reader.start()
        while not stream.generation.reading:
            pass
        if stops:
            _stop(model)
        assert side_by_side([model.close]) == [None]
        assert _is_gone(model.client.worker.pid)
        reader.join()


def _read_until_closed(stream):
    with contextlib.suppress(ClosedError):
        list(stream)


def test_closing_a_session_or_stream_of_a_child_that_is_stopped(load, side_by_side):
    """Does not wait for it."""
    model = load()
    sessions = [model.open_session() for _ in range(2)]
    streams = [session.generate("Once", sampling=GREEDY) for session in sessions]
    _stop(model)
    assert side_by_side([streams[0].close, sessions[1].close]) == [None, None]
    assert streams[0].result.stop_reason is StopReason.CANCELLED
    with pytest.raises(ClosedError):
        list(streams[1])


def test_a_session_that_is_closed_during_its_call_leaves_the_model_alone(load, side_by_side):
    """Its caller is told so, and the child is not blamed."""
    model = load()
    session = model.open_session()
    _stop(model)
    threading.Timer(0.3, session.close).start()
    (found,) = side_by_side([lambda: session.rewind(to=0)])
    assert isinstance(found, ClosedError)
    _go_on(model)
    assert model.tokenize("a")


def test_an_exception_of_a_signal_handler_passes_out_of_every_call(load, interrupted):
    """As Ctrl-C does; nothing of it ends the child, which is not to blame."""
    model = load()
    calls = _calls(model)
    _stop(model)
    for call in calls.values():
        with pytest.raises(Interrupted):
            interrupted(0.1, call)
    _go_on(model)
    session = model.open_session()
    assert session.complete("Once", sampling=GREEDY, max_tokens=2).tokens
    assert calls["tokenize"]()
    calls["rewind"]()


def test_a_load_that_hangs_ends_when_it_is_not_wanted(interrupted, side_by_side):
    """Its progress function is asked again, a task may be cancelled, and Ctrl-C passes."""
    fault = "fake:#load_fault=hang"
    before = _children()
    told = []

    def progress(fraction):
        told.append(fraction)
        return told.count(fraction) < 3

    (found,) = side_by_side([lambda: headrace.load_model(fault, params=PROCESS, progress=progress)])
    assert isinstance(found, ModelLoadCancelledError)

    def broken(fraction):
        if fraction >= 0.5:
            raise LookupError("mine")

    (found,) = side_by_side([lambda: headrace.load_model(fault, params=PROCESS, progress=broken)])
    assert isinstance(found, LookupError)
    with pytest.raises(Interrupted):
        interrupted(1, lambda: headrace.load_model(fault, params=PROCESS))
    assert _children() == before


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_load_leaves_no_process(backend):
    """Also of a child that hangs or was stopped."""
    if backend == "trio":
        pytest.importorskip("trio")
    before = _children()

    async def main():
        with anyio.move_on_after(1) as scope:
            await headrace.aload_model("fake:#load_fault=hang", params=PROCESS)
        assert scope.cancelled_caught
        for pid in _children() - before:
            os.kill(pid, signal.SIGSTOP)

    anyio.run(main, backend=backend)
    tick = threading.Event()
    while _children() - before:
        tick.wait(0.01)


class Ticks:
    """Counts turns of the event loop."""

    def __init__(self):
        self.count = 0

    async def run(self):
        """To be started beside what is looked at."""
        while True:
            self.count += 1
            await anyio.sleep(0.01)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_that_wait_for_a_child_that_is_stopped(load, backend):
    """They can be cancelled, their time-outs hold, and the event loop goes on."""
    if backend == "trio":
        pytest.importorskip("trio")
    model = load()
    sessions = [model.open_session() for _ in range(5)]
    stream = sessions[4].generate("a", sampling=GREEDY)
    next(stream)

    async def read():
        async for _ in stream:
            pass

    calls = [
        lambda: sessions[0].acomplete("a"),
        lambda: sessions[1].acomplete_chat(MESSAGES),
        lambda: sessions[2].acomplete_infill("a", "b"),
        lambda: sessions[3].ascore("a"),
        lambda: model.aembed("a"),
        lambda: model.arerank("a", ["b"]),
        read,
    ]

    async def main():
        ticks = Ticks()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ticks.run)
            await anyio.sleep(0)
            _stop(model)
            for call in calls:
                before = ticks.count
                with anyio.move_on_after(0.3) as scope:
                    await call()
                assert scope.cancelled_caught
                assert ticks.count > before + 3
            before = ticks.count
            other = sessions[3]
            done = await other.acomplete("a", timeout=0.3)
            assert done.stop_reason is StopReason.TIMED_OUT
            await stream.aclose()
            assert ticks.count > before + 10
            before = ticks.count
            await model.aclose()
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert stream.result.stop_reason is StopReason.CANCELLED
    assert _is_gone(model.client.worker.pid)


def test_the_event_loop_goes_on_while_a_model_that_does_not_end_is_closed(rude):
    """The grace is not waited for in it."""
    model = rude("cling")

    async def main():
        ticks = Ticks()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ticks.run)
            await anyio.sleep(0)
            await model.aclose()
            tasks.cancel_scope.cancel()
        assert ticks.count > 10

    anyio.run(main)
    assert _is_gone(model.client.worker.pid)


def test_more_calls_than_the_door_has_room_for(load, side_by_side):
    """Those that cannot even be handed over wait for the watchdog like the others."""
    model = load(watchdog=3)
    _stop(model)
    for found in side_by_side([lambda: model.tokenize("a")] * 600):
        assert isinstance(found, BackendCrashedError)
        assert "brought nothing forward for 3 s" in found.message


@pytest.mark.parametrize("deed", ["half", "trickle"])
def test_a_message_that_never_ends_is_no_sign_of_life(rude, side_by_side, deed):
    """The watchdog counts what is whole."""
    (found,) = side_by_side([lambda: rude(deed, watchdog=2)])
    assert isinstance(found, BackendCrashedError)
    assert "2 s and was ended" in found.message


@pytest.mark.parametrize("deed", ["garbage", "absurd"])
def test_what_is_no_message_ends_the_child_at_once(rude, side_by_side, deed):
    """And is named."""
    (found,) = side_by_side([lambda: rude(deed)])
    assert isinstance(found, BackendCrashedError)
    assert "sent bytes that are no message, and was ended" in found.message


def test_a_child_that_closes_its_connections_is_ended(rude, side_by_side):
    """Nobody can use it any more; that it was killed then is not its story."""
    (found,) = side_by_side([lambda: rude("mute")])
    assert isinstance(found, BackendCrashedError)
    assert "closed its connection and was ended" in found.message
