"""Observers: what they are told of streams, and that they can break none."""

from __future__ import annotations

import gc
import logging
import signal
import threading

import pytest

import headrace
from headrace import (
    DecodeError,
    GenerationFailed,
    GenerationFinished,
    GenerationStarted,
    ParamsError,
    StopReason,
)
from headrace.streams import observers

from .test_stream import Script, pieces


class Recorder(headrace.Observer):
    """Keeps what it is told."""

    def __init__(self):
        self.events = []

    def generation_started(self, event):
        """Keep."""
        self.events.append(event)

    generation_finished = generation_failed = generation_started

    @property
    def kinds(self):
        """The classes of the events."""
        return [type(each) for each in self.events]


@pytest.fixture
def recorder():
    """An observer that is registered."""
    found = Recorder()
    with headrace.observe(found):
        yield found
    observers._waiting.clear()


@pytest.fixture
def session():
    """Of a fake that says Hello."""
    with headrace.load_model("fake:Hello") as model, model.open_session() as session:
        yield session


def test_a_generation_is_told_with_its_numbers(session, recorder):
    """The same as in its result; no texts."""
    with headrace.load_model("fake:x") as model:
        model_name = model.info.name
    done = session.complete("Say hello")
    started, finished = recorder.events
    assert (started.model, started.backend) == (model_name, "fake")
    assert started.prompt_tokens == done.usage.prompt_tokens > 0
    assert finished.generation == started.generation
    assert finished.stop_reason is StopReason.EOG
    assert (finished.usage, finished.timings) == (done.usage, done.timings)
    assert "Hello" not in repr(recorder.events)
    assert "Say" not in repr(recorder.events)


def test_a_stream_that_nobody_reads_is_not_told(session, recorder):
    """Nothing was computed for it."""
    session.generate("x").close()
    assert recorder.events == []


def test_a_stream_begins_with_its_first_read(session, recorder):
    """Not when it is made."""
    stream = session.generate("x")
    assert recorder.events == []
    next(stream)
    assert recorder.kinds == [GenerationStarted]
    stream.close()
    stream.close()
    assert recorder.kinds == [GenerationStarted, GenerationFinished]
    assert recorder.events[1].stop_reason is StopReason.CANCELLED


def test_a_failure_is_told_by_its_class(recorder):
    """Once, however often the reader asks."""
    stream = headrace.TokenStream(Script(pieces(b"a"), DecodeError("secret words")))
    for _ in range(2):
        with pytest.raises(DecodeError):
            list(stream)
    started, failed = recorder.events
    assert type(failed) is GenerationFailed
    assert (failed.error, failed.completion_tokens) == ("DecodeError", 1)
    assert failed.generation == started.generation
    assert "secret" not in repr(failed)


def test_tasks_are_told_of_too(recorder):
    """The asynchronous form."""
    import asyncio

    async def complete():
        async with (
            await headrace.aload_model("fake:Hi") as model,
            model.open_session() as session,
        ):
            return await session.acomplete("x")

    done = asyncio.run(complete())
    assert recorder.kinds == [GenerationStarted, GenerationFinished]
    assert recorder.events[1].usage == done.usage


def test_a_chat_is_one_generation(session, recorder):
    """Not two, though one stream stands over another."""
    session.complete_chat([{"role": "user", "content": "Hi"}])
    assert recorder.kinds == [GenerationStarted, GenerationFinished]


def test_a_dropped_stream_is_told_with_the_next_event(session, recorder):
    """A finalizer calls nobody."""
    stream = session.generate("x")
    next(stream)
    del stream
    gc.collect()
    assert recorder.kinds == [GenerationStarted]
    list(session.generate("y"))
    dropped = recorder.events[2]
    assert dropped.generation == recorder.events[0].generation
    assert (dropped.abandoned, dropped.stop_reason) == (True, StopReason.CANCELLED)
    assert dropped.usage.completion_tokens > 0
    assert len(recorder.events) == 4


class Breaks:
    """Raises when a generation starts."""

    def generation_started(self, event):
        """Always."""
        raise RuntimeError("observer's own")

    def generation_finished(self, event):
        """Never reached."""
        raise AssertionError("called after it failed")


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, RecursionError, BaseException])
def test_an_observer_may_raise_whatever_it_likes(session, recorder, error):
    """Panics and exits break no generation."""

    class Odd(headrace.Observer):
        def generation_started(self, event):
            raise error

    with headrace.observe(Odd()) as handle:
        assert session.complete("x").text == "Hello"
    assert error.__name__ in handle.failure.traceback


def test_what_a_signal_handler_raises_is_not_the_observers(session, recorder):
    """It comes out where the caller waits for it, and the observer is told again."""

    class Limit(Exception):
        pass

    def handle(number, frame):
        raise Limit

    class Innocent(headrace.Observer):
        def generation_started(self, event):
            signal.raise_signal(signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        with headrace.observe(Innocent()) as handle_, pytest.raises(Limit):
            session.complete("x")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert handle_.failure is None
    assert session.complete("x").text == "Hello"


def test_an_observer_that_raises_breaks_nothing_and_is_silenced(session, recorder, caplog):
    """It is logged once; others are told."""
    with caplog.at_level(logging.ERROR, "headrace.observers"), headrace.observe(Breaks()) as handle:
        assert session.complete("x").text == "Hello"
        assert session.complete("y").stop_reason is StopReason.EOG
        (failed,) = observers.failed_observers()
    assert len(caplog.records) == 1
    assert "Breaks" in caplog.text
    assert "observer's own" in failed.traceback
    assert handle.failure == failed
    assert len(recorder.events) == 4
    assert observers.failed_observers() == ()


def test_an_unregistered_observer_hears_the_end_of_what_it_saw_begin(session):
    """And nothing after it."""
    observer = Recorder()
    handle = headrace.observe(observer)
    stream = session.generate("x")
    next(stream)
    handle.close()
    handle.close()
    list(stream)
    session.complete("y")
    assert observer.kinds == [GenerationStarted, GenerationFinished]


def test_an_observer_is_not_called_inside_itself(session):
    """What it generates itself is told afterwards."""
    with headrace.load_model("fake:nested") as model, model.open_session() as inner:

        class Nested(Recorder):
            depth = 0

            def generation_started(self, event):
                assert self.depth == 0
                self.depth += 1
                super().generation_started(event)
                if len(self.events) == 1:
                    inner.complete("x")
                self.depth -= 1

            generation_finished = generation_failed = generation_started

        observer = Nested()
        with headrace.observe(observer) as handle:
            session.complete("x")
        assert handle.failure is None
    assert len(observer.events) == 4


def test_no_lock_of_the_stream_is_held(session):
    """Another thread can use the stream while an observer is told of its end."""
    ended = []

    class Asks:
        def generation_finished(self, event):
            def ask():
                stream.close()
                ended.append(stream.result.text)

            thread = threading.Thread(target=ask)
            thread.start()
            thread.join(60)

    with headrace.observe(Asks()):
        stream = session.generate("x")
        list(stream)
    assert ended == ["Hello"]


def test_nothing_is_made_for_a_stream_when_nobody_listens(session):
    """Not even a number."""
    assert session.generate("x")._watch is None


@pytest.mark.parametrize(
    ("observer", "message"),
    [
        (object(), "none of the methods"),
        (Recorder, "is a class"),
    ],
)
def test_what_cannot_observe_is_refused(observer, message):
    """At once."""
    with pytest.raises(ParamsError, match=message):
        headrace.observe(observer)


def test_a_coroutine_is_refused():
    """Nobody would await it."""

    class Asynchronous:
        async def generation_started(self, event): ...

    with pytest.raises(ParamsError, match="not a coroutine"):
        headrace.observe(Asynchronous())
