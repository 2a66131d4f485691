"""The base of backends for remote services: what a session does with an iterator of text."""

from __future__ import annotations

import gc
import signal
import threading

import anyio
import anyio.lowlevel
import pytest

import headrace
from headrace import (
    Capability,
    ClosedError,
    ModelInfo,
    ParamsError,
    SamplingParams,
    ServiceError,
    ServiceUnreachableError,
    SessionParams,
    StopReason,
    UnsupportedError,
    Usage,
)
from headrace.protocols import Delta, Piece, ServiceModel, ServiceSession

INFO = ModelInfo(
    name="words",
    backend="words",
    build="1",
    architecture="service",
    description="a service",
    n_vocab=0,
    n_ctx_train=0,
)


class Words(ServiceSession):
    """Says its words; tests set what those are, and look at what it was asked."""

    def _stream_from(self, request, call):
        self.asked = request
        return self.answer(request, call)

    def answer(self, request, call):
        """Two words."""
        yield "one "
        yield "two"


class Loops(Words):
    """The same from an asynchronous client."""

    async def _replay(self, answer):
        for each in answer:
            await anyio.lowlevel.checkpoint()
            yield each

    def _stream_from(self, request, call):
        self.asked = request
        return self._replay(self.answer(request, call))


class Silent(Words):
    """A service that never answers, until its connection is shut."""

    def __init__(self, model, params):
        super().__init__(model, params)
        self.shut, self.asked_at_all, self.left = (threading.Event() for _ in range(3))

    def answer(self, request, call):
        """Wait as a read of a socket does."""
        call.on_end(self.shut.set)
        self.asked_at_all.set()
        try:
            self.shut.wait()
            raise ConnectionResetError("the socket was shut")
            yield
        finally:
            self.left.set()


class SilentLoops(Silent):
    """The same in an event loop."""

    def _stream_from(self, request, call):
        return self._wait()

    async def _wait(self):
        self.asked_at_all.set()
        try:
            await anyio.sleep_forever()
            yield ""
        finally:
            self.left.set()


def opened(session, capabilities=frozenset()):
    """A session of that class, whose model closes with the test."""
    return ServiceModel(INFO, session, capabilities).open_session()


def answering(items, base=Words):
    """A session whose service sends these."""
    session = opened(base)
    session.answer = lambda request, call: iter(items)
    return session


@pytest.fixture(params=[Words, Loops], ids=["blocking", "async"])
def kind(request):
    """Both kinds of iterators."""
    return request.param


@pytest.fixture(params=[Silent, SilentLoops], ids=["blocking", "async"])
def silent(request):
    """A session with a service that never answers."""
    session = opened(request.param)
    yield session
    session.close()
    session.shut.set()


# -- what comes out -----------------------------------------------------------


def test_the_text_of_the_iterator_is_streamed(kind):
    """Item by item; the end of it is the model's own."""
    with opened(kind) as session, session.generate("count") as stream:
        assert [chunk.text for chunk in stream] == ["one ", "two"]
        assert stream.result.stop_reason == "eog"
        assert stream.result.timings.first_token_seconds is not None


def test_what_is_no_text_is_told_in_deltas(kind):
    """Why it ended, which stop string it was, what was counted."""
    end = Delta(end=StopReason.STOP_STRING, stop_string="END", usage=Usage(7, 2, 5))
    done = answering([Delta((Piece(None, b"hi"),)), end, "never"], kind).complete("x")
    assert (done.text, done.stop_reason, done.stop_string) == ("hi", "stop_string", "END")
    assert done.usage == Usage(7, 2, 5)


def test_a_stop_string_that_is_found_here_is_named():
    """Whatever the service says of its own."""
    done = opened(Words).complete("x", stop=["two", "e t"])
    assert (done.text, done.stop_reason, done.stop_string) == ("on", "stop_string", "e t")
    assert opened(Words).complete("x").stop_string is None


def test_without_counts_of_the_service_what_was_delivered_is_counted():
    """As pieces."""
    assert opened(Words).complete("x").usage == Usage(completion_tokens=2)


def test_an_answer_of_no_tokens_asks_nobody():
    """The prompt is remembered."""
    session = opened(Words)
    done = session.complete("x", max_tokens=0)
    assert (done.text, done.stop_reason, session.text) == ("", "max_tokens", "x")
    assert not hasattr(session, "asked")


@pytest.mark.parametrize(
    ("item", "told"), [(3, "3 instead of a Delta"), (Delta(end="over"), "no StopReason")]
)
def test_what_an_iterator_must_not_give_is_a_breach(item, told, kind):
    """Named with the method."""
    with pytest.raises(headrace.BackendProtocolError, match=r"_stream_from") as caught:
        answering([item], kind).complete("x")
    assert told in str(caught.value)


# -- the history ----------------------------------------------------------------


def test_the_history_is_prompt_and_answer_and_is_sent_again():
    """What the author gets as the prompt is all of it."""
    session = opened(Words)
    session.complete("first ")
    session.complete(" second ")
    assert session.asked.prompt == "first one two second "
    assert session.text == "first one two second one two"
    session.complete(None)
    assert session.asked.prompt == "first one two second one two"


def test_after_a_cancel_the_history_has_what_was_read(kind):
    """And nothing of what was sent in advance, or held back."""
    with opened(kind) as session:
        with session.generate("x ", stop=["e two three"]) as stream:
            assert next(stream).text == "on"
        assert session.text == "x on"
        stream = session.generate(" y ")
        next(stream)
        del stream
        gc.collect()
        assert session.text == "x on y one "
        assert session.complete(None).text == "one two"


def test_an_unread_stream_leaves_nothing():
    """Nor does one that failed before a word."""
    session = opened(Words)
    session.generate("x").close()
    assert session.text == ""
    session.answer = lambda request, call: iter([ConnectionError])  # no item at all
    with pytest.raises(headrace.BackendProtocolError):
        session.complete("y")
    assert session.text == ""


def test_a_session_is_rewound_to_a_mark():
    """Of any session with that history, and of none with another."""
    session = opened(Words)
    session.complete("a ")
    mark = session.mark()
    session.complete(" b ")
    fork = session.fork()
    for each in (session, fork):
        each.rewind(to=mark)
        assert each.text == "a one two"
    session.reset()
    assert session.text == ""
    with pytest.raises(ParamsError, match="at this mark"):
        session.rewind(to=mark)
    with pytest.raises(UnsupportedError, match="tokens") as caught:
        fork.rewind(to=3)
    assert "mark()" in caught.value.hint


def test_marks_are_for_tokens_too():
    """The same calls on any backend."""
    with headrace.load_model("fake:#mean_length=0") as model, model.open_session() as session:
        session.complete("a", max_tokens=3)
        mark, before = session.mark(), session.tokens
        session.complete("b", max_tokens=3)
        session.rewind(to=mark)
        assert session.tokens == before
        session.rewind(to=1)
        with pytest.raises(ParamsError, match="at this mark"):
            session.rewind(to=mark)
        with pytest.raises(UnsupportedError, match="text"):
            _ = session.text


# -- requests ---------------------------------------------------------------------


def test_what_the_service_does_not_take_is_refused():
    """Only what was asked for, and asks for something."""
    session = opened(Words)
    session.complete("x", sampling=SamplingParams(top_k=0, min_p=0.0, temperature=1.0))
    session.complete("x", sampling=SamplingParams(temperature=0, top_k=3))
    with pytest.raises(UnsupportedError, match=r"SamplingParams\.top_k"):
        session.generate("x", sampling=SamplingParams(top_k=3))
    with pytest.raises(UnsupportedError, match="ending by itself"):
        session.generate("x", ignore_eog=True)
    with pytest.raises(UnsupportedError, match="must be a text"):
        session.generate([1, 2])
    with pytest.raises(UnsupportedError, match="reproducible"):
        ServiceModel(INFO, Words).open_session(SessionParams(reproducible=True))


def test_the_author_sees_what_was_given_and_a_seed():
    """The seed is in the receipt."""
    session = opened(Words)
    done = session.complete("x", sampling=SamplingParams(top_p=0.95))
    assert session.asked.sampling.given == {"top_p", "seed"}
    assert done.receipt.seed == session.asked.sampling.seed is not None
    assert session.complete("x", sampling=SamplingParams(seed=3)).receipt.seed == 3


def test_a_service_without_seeds_tells_none():
    """Whatever was asked for."""
    session = opened(type("Unseeded", (Words,), {"takes": frozenset()}))
    assert session.complete("x", sampling=SamplingParams(seed=3)).receipt.seed is None


def test_a_conversation_is_the_services_own_affair():
    """It gets messages; the history is text; usage is what it tells."""
    session = opened(Words, frozenset({Capability.CHAT}))
    session.answer = lambda request, call: iter(["Hel", "lo", Delta(usage=Usage(9, 0, 2))])
    done = session.complete_chat([{"role": "user", "content": "Hi"}])
    assert (done.message.content, done.usage) == ("Hello", Usage(9, 0, 2))
    assert [message.content for message in session.asked.messages] == ["Hi"]
    assert session.text == "user: Hi\nassistant: Hello"
    with pytest.raises(UnsupportedError, match="conversations"):
        opened(Words).chat([{"role": "user", "content": "Hi"}])


# -- failures -----------------------------------------------------------------------


def failing(error):
    """A session whose service says a word and fails."""

    def answer(request, call):
        yield "one "
        raise error

    session = opened(Words)
    session.answer = answer
    return session


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), TimeoutError(), OSError(113, "x")])
def test_a_broken_network_is_a_service_that_cannot_be_reached(error):
    """What came before it was delivered, and is remembered."""
    session = failing(error)
    stream = session.generate("x ")
    assert next(stream).text == "one "
    with pytest.raises(ServiceUnreachableError) as caught:
        next(stream)
    assert caught.value.retryable
    assert caught.value.backend == "words"
    assert session.text == "x one "


def test_errors_of_headrace_come_as_they_are():
    """With what they know."""
    with pytest.raises(ServiceError) as caught:
        failing(ServiceError("too many", status=429, retry_after=2.5)).complete("x")
    known = caught.value
    assert (known.status, known.retry_after, known.retryable) == (429, 2.5, True)
    assert not ServiceError("who are you", status=401).retryable
    assert not ServiceError("no", status=503, retryable=False).retryable


@pytest.mark.parametrize("error", [ValueError("a defect"), SystemExit(3), FileNotFoundError("key")])
def test_what_else_is_raised_is_a_defect_of_the_backend(error):
    """Named with the method, and never raw."""
    with pytest.raises(headrace.BackendProtocolError, match="_stream_from"):
        failing(error).complete("x")


# -- ending ---------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_task_that_is_cancelled_ends_at_once(silent, loop):
    """Though the service never answers; the test is over when it has been asked."""

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(silent.acomplete, "x")
            await anyio.to_thread.run_sync(silent.asked_at_all.wait)
            group.cancel_scope.cancel()
        assert silent.complete("again", max_tokens=0).stop_reason == "max_tokens"

    anyio.run(main, backend=loop)
    silent.left.wait()


def test_a_time_out_ends_at_once(silent):
    """In a thread."""
    assert silent.complete("x", timeout=0.01).stop_reason == "timed_out"
    silent.left.wait()


@pytest.mark.parametrize("end", ["cancel", "session", "model"])
def test_a_waiting_reader_is_woken(silent, end):
    """By a cancel, and by a close with its error."""
    stream = silent.generate("x")
    ends = []

    def read():
        try:
            ends.append(str(stream.read().stop_reason))
        except ClosedError:
            ends.append("closed")

    reader = threading.Thread(target=read)
    reader.start()
    silent.asked_at_all.wait()
    close = {"cancel": stream.cancel, "session": silent.close, "model": silent._owner.close}
    close[end]()
    reader.join()
    assert ends == ["cancelled" if end == "cancel" else "closed"]
    silent.left.wait()


def test_a_closed_session_fails_the_stream_that_nobody_reads():
    """Its result says so."""
    session = opened(Words)
    stream = session.generate("x")
    next(stream)
    session.close()
    with pytest.raises(ClosedError):
        _ = stream.result


def test_a_signal_handler_ends_a_stream_that_waits(silent):
    """In the thread that waits: no lock is taken."""
    stream = silent.generate("x")
    before = signal.signal(signal.SIGUSR1, lambda *_: stream.cancel())
    main = threading.main_thread().ident

    def send():
        silent.asked_at_all.wait()
        signal.pthread_kill(main, signal.SIGUSR1)

    sender = threading.Thread(target=send)
    try:
        sender.start()
        assert stream.read().stop_reason == "cancelled"
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)


def test_a_dropped_stream_ends_its_thread(silent):
    """And the session is free."""
    stream = silent.generate("x")
    generation = stream.generation
    assert generation.pull(0.0) is None  # begins it
    silent.asked_at_all.wait()
    del stream
    gc.collect()
    silent.left.wait()
    generation._thread.join()
    assert silent.complete("y", max_tokens=0).text == ""


def test_a_reader_who_stops_has_few_items_waiting(kind):
    """The helper asks for no more, and is closed with the stream."""
    closed, produced = threading.Event(), []

    def endless(request, call):
        try:
            while True:
                produced.append(1)
                yield "word "
        finally:
            closed.set()

    session = opened(kind)
    session.answer = endless
    stream = session.generate("x")
    next(stream)
    thread = stream.generation._thread
    while stream.statistics().buffered_tokens < 8:
        thread.join(0.001)
    assert stream.generation._room.empty()
    assert len(produced) in (9, 10)
    stream.close()
    thread.join()
    gc.collect()
    assert kind is Loops or closed.is_set()


def test_a_program_without_threads_left_is_told(monkeypatch):
    """As a typed error."""

    def start(thread):
        raise RuntimeError("can't start new thread")

    session = opened(Words)
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(headrace.BackendError, match="no thread"):
        session.complete("x")


def test_tools_are_told_as_text_and_calls_read():
    """A service that knows none sees a system message; what it writes is checked as elsewhere."""
    session = opened(Words, frozenset({Capability.CHAT}))
    written = ["<tool_", 'call>{"name": "add", "arguments": {"a": "1"}}</tool_call>']
    session.answer = lambda request, call: iter(written)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    done = session.complete_chat(
        [{"role": "user", "content": "Hi"}],
        tools=[{"name": "add", "parameters": schema}],
        tools_in_prompt=True,
    )
    assert session.asked.tools == ()
    assert "integer" in session.asked.messages[0].content
    (call,) = done.message.tool_calls
    assert [problem.path for problem in call.problems] == ["#/a"]
