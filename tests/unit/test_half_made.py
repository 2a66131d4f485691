"""What was interrupted while it was made is collected without a word."""

from __future__ import annotations

import pytest

import headrace
from headrace import DraftModel, PromptLookup, SessionParams
from headrace.streams import observers
from headrace_fake import FakeBackend
from tests.support.interrupting import interrupt_everywhere
from tests.unit.testing.text_only import EchoBackend

PARTS = (
    "/headrace/engine/",
    "/headrace_fake/",
    *(f"/headrace/{name}.py" for name in ("adapters", "model", "session")),
    "/headrace/loading/load.py",
    "/headrace/common/process.py",
    *(f"/headrace/streams/{name}.py" for name in ("chat", "observers", "tokens")),
)
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def model():
    """A fake."""
    with headrace.load_model("fake:", backend=FakeBackend(mean_length=0)) as model:
        yield model


def close(handle):
    """In the ordinary way."""
    handle.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_model(error):
    """From the choice of the backend on."""
    backend = FakeBackend()
    made = interrupt_everywhere(
        lambda: headrace.load_model("fake:", backend=backend), close, parts=PARTS, error=error
    )
    assert made > 50


HANDLES = {
    "session": lambda model, session: model.open_session(),
    "lookup": lambda model, session: model.open_session(SessionParams(speculate=PromptLookup())),
    "fork": lambda model, session: session.fork(),
    "stream": lambda model, session: session.generate("a", max_tokens=3),
    "chat": lambda model, session: session.chat(HI, max_tokens=3),
    "infill": lambda model, session: session.infill("a", "b", max_tokens=3),
    "adapter": lambda model, session: model.load_adapter("fake:#seed=1"),
    "vector": lambda model, session: model.load_control_vector("fake:#seed=1"),
}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("make", HANDLES.values(), ids=HANDLES)
def test_a_handle(model, make, error):
    """Whatever made it goes on as if nobody had begun."""
    session = model.open_session()
    assert interrupt_everywhere(lambda: make(model, session), close, parts=PARTS, error=error) > 5
    assert session.complete("go on", max_tokens=3).tokens


@pytest.mark.parametrize("speculate", [False, True], ids=["first", "draft"])
def test_a_session_whose_engine_is_made_for_it(speculate):
    """The first one of a model, and one with a draft model: no context stays behind."""
    backend = FakeBackend()

    def make():
        with headrace.load_model("fake:", backend=backend) as model:
            params = SessionParams(speculate=DraftModel(model=model) if speculate else None)
            return model.open_session(params)

    parts = ("/engine/model.py", "/engine/session.py", "/engine/engine.py", "/headrace_fake/")
    assert interrupt_everywhere(make, close, parts=parts, step=5 if speculate else 1) > 50
    assert backend.violations == ()


def test_handles_of_other_backends():
    """The bases are ours."""
    with headrace.load_model("echo:", backend=EchoBackend()) as model:
        parts = (*PARTS, "text_only")
        interrupt_everywhere(model.open_session, close, parts=parts)
        interrupt_everywhere(
            lambda: model.open_session().generate("a", max_tokens=1), close, parts=parts
        )


def test_an_observation(monkeypatch):
    """One whose handle was lost stays registered, as one whose handle was dropped does."""
    monkeypatch.setattr(observers, "_entries", {})
    interrupt_everywhere(lambda: headrace.observe(headrace.Observer()), close, parts=PARTS)
