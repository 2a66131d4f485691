"""All that a model and its sessions can do, done in a process of its own."""

from __future__ import annotations

import io
import itertools
import select
import socket
import threading

import anyio
import pytest

import headrace
from headrace import (
    BusyError,
    ClosedError,
    DraftModel,
    ParamsError,
    SamplingParams,
    SessionParams,
    StopReason,
)

GREEDY = SamplingParams(temperature=0.0)


@pytest.fixture
def pair(load):
    """The same model here and in a process."""
    with headrace.load_model("fake:#mean_length=0") as here:
        yield here, load()


def test_vectors_are_the_same_as_in_this_process(pair):
    """Lists, arrays, of texts and of tokens, normalized or not."""
    pytest.importorskip("numpy")
    here, there = pair
    texts = ["one", "and two", ""]
    for options in (
        {},
        {"normalize": False},
        {"pooling": "none"},
        {"as_array": True},
        {"as_array": True, "pooling": "none", "normalize": False},
    ):
        told = []
        one, other = (
            here.embed(texts, **options),
            there.embed(texts, progress=told.append, **options),
        )
        assert [_plain(each) for each in one] == [_plain(each) for each in other], options
        assert (one.n_dimensions, one.pooling, one.usage) == (
            other.n_dimensions,
            other.pooling,
            other.usage,
        )
        assert told[-1] == 1.0


def _plain(vectors):
    return vectors.tolist() if hasattr(vectors, "tolist") else vectors


def test_wrong_arguments_are_refused_alike(pair):
    """Class and message."""
    for model in pair:
        with pytest.raises(ParamsError, match="normalize must be True or False"):
            model.embed("a", normalize=1)
        with pytest.raises(ParamsError, match="pooling must be None or one of"):
            model.embed("a", pooling="sum")
        with pytest.raises(ParamsError, match="documents must be a sequence of str"):
            model.rerank("a", "b")


def test_what_a_progress_function_raises_ends_the_work(load):
    """And the model goes on."""
    model = load()

    def broken(done):
        raise LookupError("mine")

    for call in (
        lambda: model.embed(["a"] * 9, progress=broken),
        lambda: model.open_session().score("some text", progress=broken),
    ):
        with pytest.raises(LookupError, match="mine"):
            call()
    assert len(model.embed("a")) == 1


def test_a_cancelled_task_ends_the_work_in_the_child(load):
    """Inside a native call that would take an hour."""
    model = load("fake:#prefill_delay=1000")
    session = model.open_session()

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.ascore, "a text of some length")
            await anyio.to_thread.run_sync(model.tokenize, "the child is there")
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert session.tokens == []


def test_a_state_travels_between_the_processes(pair, tmp_path):
    """Written and read by this process, which the child cannot."""
    there = pair[1]
    with there.open_session() as session:
        session.complete("Once upon", sampling=GREEDY, max_tokens=5)
        history = session.tokens
        session.save_state(tmp_path / "state")
        data = session.state()
    for model in pair:
        with model.open_session() as other:
            other.load_state(tmp_path / "state")
            assert other.tokens == history
            other.load_state(io.BytesIO(data))
            assert other.tokens == history
    with there.open_session() as session:
        with pytest.raises(headrace.StateError):
            session.load_state(data[:-1])
        assert session.complete("after it", sampling=GREEDY, max_tokens=2).tokens


def test_a_large_state_travels_in_parts(load, monkeypatch):
    """Whatever their size."""
    from headrace_subprocess import wire

    monkeypatch.setattr(wire, "PART", 7)
    session = load().open_session()
    session.complete("Once upon", sampling=GREEDY, max_tokens=5)
    other = session._owner.open_session()
    other.load_state(session.state())
    assert other.tokens == session.tokens


def test_a_conversation_is_rendered_and_read_in_the_child(pair):
    """With the same words and the same history."""
    messages = [{"role": "user", "content": "Hello"}]
    rendered = [model.render_chat(messages) for model in pair]
    assert rendered[0].prompt == rendered[1].prompt
    assert rendered[0].parser.parse("some text", partial=True) == rendered[1].parser.parse(
        "some text", partial=True
    )
    done, tokens = [], []
    for model in pair:
        with model.open_session() as session:
            done.append(session.complete_chat(messages, sampling=GREEDY, max_tokens=9))
            tokens.append(session.tokens)
    assert done[0].message == done[1].message
    assert done[0].usage == done[1].usage
    assert tokens[0] == tokens[1]


def test_adapters_belong_to_their_model(pair, load):
    """Their effect is that of this process; another model's are refused; closing counts."""
    texts = []
    for model in pair:
        adapter = model.load_adapter("fake:#seed=1")
        with model.open_session(SessionParams(adapters=[(adapter, 0.5)])) as session:
            texts.append(session.complete("Once", sampling=GREEDY, max_tokens=8).tokens)
            session.set_adapters([])
            session.rewind(to=0)
            texts.append(session.complete("Once", sampling=GREEDY, max_tokens=8).tokens)
    assert texts[:2] == texts[2:]
    assert texts[0] != texts[1]
    there = pair[1]
    with pytest.raises(ParamsError, match="loaded by another model"):
        load().open_session(SessionParams(adapters=[adapter]))
    session = there.open_session(SessionParams(adapters=[adapter]))
    adapter.close()
    with pytest.raises(ClosedError, match="adapter"):
        session.generate("a")


def test_a_draft_model_does_not_share_the_process(load):
    """The error says what to do."""
    model = load()
    with pytest.raises(ParamsError, match="must not be a DraftModel") as caught:
        model.open_session(SessionParams(speculate=DraftModel(model=model)))
    assert "PromptLookup" in caught.value.hint


def test_what_the_model_tells(pair):
    """Of itself and its machine."""
    here, there = pair
    assert there.recommended_sampling() == here.recommended_sampling()
    assert there.system_info() == here.system_info()
    assert there.memory_usage() == here.memory_usage()
    assert there.open_session().memory_usage() == here.open_session().memory_usage()
    assert there.capabilities == here.capabilities


def test_a_stream_that_is_dropped_late_cancels_nothing_else(load):
    """Its model is closed by then, and the number of its pipe must not be another file's."""
    model = load()
    stream = model.open_session().generate("Once", sampling=GREEDY)
    next(stream)
    model.close()
    others = [socket.socketpair() for _ in range(16)]
    try:
        stream.cancel()
        ready, _, _ = select.select([end for pair in others for end in pair], [], [], 0)
        assert ready == []
    finally:
        for end in itertools.chain(*others):
            end.close()


def test_a_session_goes_on_while_its_cancelled_reader_wakes(load):
    """The reader waits in the channel that the next call would be answered in."""
    model = load("fake:#prefill_delay=1000&mean_length=0")
    session = model.open_session()
    stream = session.generate("A long prompt", sampling=GREEDY)
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    while not stream.generation.reading:
        pass
    with pytest.raises(BusyError):
        session.rewind(to=0)
    stream.cancel()
    session.rewind(to=0)
    reader.join()
    assert stream.result.stop_reason is StopReason.CANCELLED
    assert session.tokens == []


def test_closing_ends_a_reader_in_another_thread(load):
    """With the error of a closed session."""
    session = load("fake:#prefill_delay=1000").open_session()
    stream = session.generate("A long prompt", sampling=GREEDY)
    caught = []

    def read():
        try:
            list(stream)
        except ClosedError as error:
            caught.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    while not stream.generation.reading:
        pass
    session.close()
    reader.join()
    assert "the session was closed" in str(caught[0])


def test_options_cross():
    """Those that can; the fake passes over them."""
    isolated = headrace.ModelParams(isolation="process")
    with headrace.load_model("fake:", params=isolated, options={"key": "k", "n": 1}) as model:
        assert model.info.backend == "fake"
    with pytest.raises(headrace.ParamsError, match="another process"):
        headrace.load_model("fake:", params=isolated, options={"key": object()})
