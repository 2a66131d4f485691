"""The event loop turns in every phase: calls into the backend are held up until the loop lets go.

No time is measured: were a call made in the loop's own thread, the loop could never let it go.
"""

from __future__ import annotations

import asyncio
import threading

import anyio
import anyio.lowlevel
import pytest

import headrace
from headrace import DraftModel, EngineParams, SamplingParams, SessionParams
from headrace_fake import FakeBackend
from headrace_fake.decoder import FakeDecoder
from headrace_fake.embedder import FakeEmbedder
from headrace_fake.model import FakeModel
from headrace_fake.vocabulary import ByteVocabulary

pytestmark = pytest.mark.anyio
_PATIENCE = 30.0
"""Seconds that tell a hang from an end."""
WRITE = {"sampling": SamplingParams(temperature=0.0), "max_tokens": 3, "ignore_eog": True}
LONG = "a long text " * 1000
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    """Both event loops."""
    return request.param


class Gate:
    """Holds calls up; the event loop opens it once one has come."""

    def __init__(self, armed=True):
        self.armed = armed
        self.arrived, self.opened = threading.Event(), threading.Event()

    def around(self, method):
        """The method, held up."""

        def held(*arguments, **options):
            if self.armed:
                self.arrived.set()
                assert self.opened.wait(_PATIENCE), "the event loop was held up by the call"
            return method(*arguments, **options)

        return held

    async def wait(self):
        """Until a call has come."""
        await _until(self.arrived.is_set)

    async def let_go(self):
        """Open it once a call has come."""
        await self.wait()
        self.opened.set()


@pytest.fixture
def gate(monkeypatch):
    """Makes a gate around a method of the fake."""

    def make(owner, name, armed=True):
        gate = Gate(armed)
        monkeypatch.setattr(owner, name, gate.around(getattr(owner, name)))
        return gate

    return make


@pytest.fixture
def model():
    """A fake that writes without end."""
    backend = FakeBackend(mean_length=0)
    with headrace.load_model("fake:", backend=backend, engine=EngineParams(n_ctx=4096)) as model:
        yield model
    assert backend.violations == ()
    assert backend.decoders == []


async def _load(model):
    await (await headrace.aload_model("fake:")).aclose()


async def _open_speculating(model):
    params = SessionParams(speculate=DraftModel(model=model))
    await (await model.aopen_session(params)).aclose()


async def test_what_is_asked_before_loading(gate):
    """Estimates and diagnoses are made by worker threads."""
    await _held_up(gate(FakeBackend, "estimate"), lambda: headrace.aestimate_memory("fake:"))
    await _held_up(gate(FakeBackend, "devices"), lambda: headrace.adiagnose(self_test=False))


class Slow:
    """A file that keeps its reader waiting."""

    def __init__(self, data):
        self.data = data

    def read(self):
        """All of it."""
        return self.data


ON_MODELS = {
    "load": (FakeBackend, "load", _load),
    "open_session": (FakeModel, "open_decoder", lambda model: model.aopen_session()),
    "open_speculating": (FakeModel, "open_decoder", _open_speculating),
    "memory_usage": (FakeModel, "open_decoder", lambda model: model.amemory_usage()),
    "tokenize": (ByteVocabulary, "tokenize", lambda model: model.atokenize("x")),
    "detokenize": (ByteVocabulary, "detokenize", lambda model: model.adetokenize([1])),
    "render_chat": (FakeModel, "render_chat", lambda model: model.arender_chat(HELLO)),
    "embed": (FakeEmbedder, "embed", lambda model: model.aembed("x")),
    "embed_long": (ByteVocabulary, "tokenize", lambda model: model.aembed("x" * 500)),
    "rerank": (FakeEmbedder, "embed", lambda model: model.arerank("x", ["y"])),
    "system_info": (FakeModel, "system_info", lambda model: model.asystem_info()),
    "load_adapter": (FakeModel, "load_adapter", lambda model: model.aload_adapter("fake:x")),
    "load_control_vector": (
        FakeModel,
        "load_control_vector",
        lambda model: model.aload_control_vector("fake:x"),
    ),
}
ON_SESSIONS = {
    "generate": (ByteVocabulary, "tokenize", lambda session: session.agenerate(LONG[:3000])),
    "complete": (FakeDecoder, "step", lambda session: session.acomplete("x", **WRITE)),
    "chat": (FakeModel, "render_chat", lambda session: session.achat(HELLO)),
    "complete_chat": (
        FakeModel,
        "render_chat",
        lambda session: session.acomplete_chat(HELLO, max_tokens=3),
    ),
    "infill": (ByteVocabulary, "tokenize", lambda session: session.ainfill("a", "b")),
    "score": (FakeDecoder, "score", lambda session: session.ascore("some text")),
    "score_long": (ByteVocabulary, "tokenize", lambda session: session.ascore("some text")),
    "state": (FakeDecoder, "export_state", lambda session: session.astate()),
    "aclose_model": (FakeDecoder, "close", lambda session: session._model.aclose()),
}


async def _held_up(gate, call):
    """Make a call that comes to the gate, which the loop opens."""
    async with anyio.create_task_group() as group:
        group.start_soon(gate.let_go)
        found = await call()
        assert gate.arrived.is_set(), "the call did not come to the gate"
    if hasattr(found, "aclose"):
        await found.aclose()


@pytest.mark.parametrize("name", ON_MODELS)
async def test_calls_on_models(model, gate, name):
    """Made by worker threads."""
    owner, method, call = ON_MODELS[name]
    await _held_up(gate(owner, method), lambda: call(model))


@pytest.mark.parametrize("name", ON_SESSIONS)
async def test_calls_on_sessions(model, gate, monkeypatch, name):
    """Made by worker threads."""
    monkeypatch.setattr("headrace.backend.prompts._SHORT", 0)  # every prompt is a long one
    owner, method, call = ON_SESSIONS[name]
    held = gate(owner, method, armed=False)
    session = await model.aopen_session()
    await session.acomplete("Hello", **WRITE)
    held.armed = True
    await _held_up(held, lambda: call(session))


async def test_a_file_of_a_state(model):
    """Is read by a worker thread, and written by one."""
    async with await model.aopen_session() as session:
        await session.acomplete("Hello", **WRITE)
        slow = Slow(await session.astate())
        gate = Gate()
        slow.read = gate.around(slow.read)
        await _held_up(gate, lambda: session.aload_state(slow))


async def test_a_fork_that_needs_a_context_for_its_draft_model(model, gate):
    """Is made by a worker thread."""
    async with await model.aopen_session(
        SessionParams(speculate=DraftModel(model=model))
    ) as session:
        await session.acomplete("Hello", **WRITE)
        await _held_up(gate(FakeModel, "open_decoder"), session.afork)


async def test_a_session_that_is_opened_for_nobody_is_closed(model, gate):
    """The cancelled task does not wait for the native context."""
    held = gate(FakeModel, "open_decoder")
    async with anyio.create_task_group() as group:
        group.start_soon(model.aopen_session)
        await held.wait()
        group.cancel_scope.cancel()
    held.opened.set()
    with model.open_session():  # waits for the context
        engine = model._engine
    await _until(lambda: not engine.state.sequences)


async def test_a_context_that_another_thread_makes_does_not_hold_up_the_loop(model, gate):
    """Nor does the lock it is made under."""
    held = gate(FakeModel, "open_decoder")
    opener = threading.Thread(target=model.open_session)
    opener.start()
    await _held_up(held, model.aopen_session)
    opener.join()


async def test_a_session_over_a_context_that_is_there_costs_no_thread(model):
    """Nor does a short prompt: most requests are these."""
    async with await model.aopen_session():
        before = threading.active_count()
        other = await model.aopen_session()
        async with other, await other.agenerate("Hello", **WRITE):
            assert threading.active_count() == before


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_a_generation_that_is_begun_for_nobody_is_ended(model, gate):
    """The session is free, and what it remembers is as before."""
    session = await model.aopen_session()
    await session.acomplete("Hello", **WRITE)
    history = session.tokens
    held = gate(FakeModel, "render_chat")
    task = asyncio.create_task(session.achat(HELLO))
    await held.wait()
    task.cancel()
    held.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert history[: len(session.tokens)] == session.tokens
    assert (await session.acomplete("and", **WRITE)).tokens


async def _until(true):
    with anyio.fail_after(_PATIENCE):
        while not true():
            await anyio.sleep(0.001)
