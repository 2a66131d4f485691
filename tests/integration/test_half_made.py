"""Native objects that were interrupted while they were made are freed without a word."""

from __future__ import annotations

import pytest

import headrace
from headrace import EngineParams
from headrace_llamacpp.backend import LlamaCppBackend
from tests.support import tiny_adapters, tiny_gguf
from tests.support.interrupting import interrupt_everywhere

PARTS = (
    "/headrace_llamacpp/",
    "/headrace/engine/",
    "/headrace/loading/load.py",
    "/headrace/loading/backend_call.py",
)
HI = [{"role": "user", "content": "Hi"}]
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
ENGINE = EngineParams(n_ctx=128, n_threads=1)


def close(handle):
    """In the ordinary way."""
    handle.close()


def load():
    """The smallest model."""
    return headrace.load_model(tiny_gguf.path("attention"), backend="llamacpp", engine=ENGINE)


@pytest.fixture(scope="module")
def model():
    """One for all."""
    with load() as model:
        yield model


def test_a_model():
    """Whatever of it is there already."""
    assert interrupt_everywhere(load, close, parts=PARTS, step=40) > 100


@pytest.mark.parametrize("what", ["decoder", "embedder"])
def test_a_context(model, what):
    """For steps, and for vectors: a new one each time."""
    inner = model._model

    def make():
        if what == "decoder":
            return inner.open_decoder(ENGINE)
        return inner.open_embedder(ENGINE, headrace.protocols.Pooling.MEAN)

    assert interrupt_everywhere(make, close, parts=PARTS, step=9) > 20


HANDLES = {
    "session": lambda model, session: model.open_session(),
    "stream": lambda model, session: session.generate("a", max_tokens=3),
    "chat": lambda model, session: session.chat(HI, max_tokens=3, template=TEMPLATE),
    "adapter": lambda model, session: model.load_adapter(tiny_adapters.lora("attention", 1)),
    "vector": lambda model, session: model.load_control_vector(
        tiny_adapters.vector("attention", 1)
    ),
}


@pytest.mark.parametrize("make", HANDLES.values(), ids=HANDLES)
def test_a_handle(model, make):
    """The model and its other sessions go on."""
    session = model.open_session()
    assert interrupt_everywhere(lambda: make(model, session), close, parts=PARTS, step=9) > 5
    assert session.complete("go on", max_tokens=3).tokens


def test_a_file():
    """Open for reading."""
    path = tiny_gguf.path("attention")
    interrupt_everywhere(
        lambda: LlamaCppBackend().inspect(str(path)), lambda info: None, parts=PARTS, step=60
    )
