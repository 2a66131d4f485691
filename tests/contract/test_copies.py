"""Handles are not copied, whatever asks for it; a model is loaded again from its reference."""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator

import pytest

import headrace
from headrace import (
    AdapterUse,
    CopyError,
    DraftModel,
    HeadraceError,
    ModelParams,
    SessionParams,
)

HI = [{"role": "user", "content": "Hi"}]
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
WAYS: dict[str, Callable[[object], object]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda it, protocol=protocol: pickle.dumps(it, protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nothing is said behind anybody's back: no ignored exception, no warning."""
    noise: list[object] = []
    before, sys.unraisablehook = sys.unraisablehook, noise.append
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
            gc.collect()
    finally:
        sys.unraisablehook = before
    assert not noise


def refused(handle: object) -> list[str]:
    """What every way of copying it says."""
    hints = []
    for way in WAYS.values():
        with silence(), pytest.raises(CopyError, match=type(handle).__name__) as caught:
            way(handle)
        hints.append(caught.value.hint)
    return hints


def test_a_session_and_its_stream_live_on(session, greedy):
    """As if nobody had tried; the error names what there is instead."""
    alone = session.complete("one two", sampling=greedy, max_tokens=12)
    session.reset()
    stream = session.generate("one two", sampling=greedy, max_tokens=12)
    text = next(stream).text
    assert all("session.fork()" in hint for hint in refused(session))
    assert all("result" in hint for hint in refused(stream))
    assert all(refused(stream.generation))
    text += "".join(chunk.text for chunk in stream)
    assert text == alone.text
    assert session.fork().complete(None, sampling=greedy, max_tokens=2).tokens


def test_an_answer_lives_on(model, session, greedy):
    """The stream of a chat is a handle too."""
    template = {} if model.info.backend == "fake" else {"template": TEMPLATE}
    stream = session.chat(HI, sampling=greedy, max_tokens=6, **template)
    text = next(stream).content
    assert all("result" in hint for hint in refused(stream))
    text += "".join(chunk.content for chunk in stream)
    assert stream.result.message.content == text


def test_a_model_lives_on(target, greedy):
    """And so do what it loaded and the parameters that name them."""
    with target.load() as model, model.open_session() as session:
        adapter = model.load_adapter(target.adapter(1))
        assert all("model.reference" in hint for hint in refused(model))
        assert all("load_adapter" in hint for hint in refused(adapter))
        for params in (AdapterUse(adapter, 0.5), SessionParams(adapters=[adapter])):
            assert copy.copy(params) == params
            with silence(), pytest.raises(CopyError, match="Adapter"):
                pickle.dumps(params)
        draft = DraftModel(model=model)
        assert copy.copy(draft) == draft
        with silence(), pytest.raises(CopyError, match=type(model).__name__):
            copy.deepcopy(draft)
        assert session.complete("one", sampling=greedy, max_tokens=3).tokens
        session.set_adapters([adapter])
        assert session.complete(None, sampling=greedy, max_tokens=3).tokens


def test_a_closed_handle_is_not_copied_either(target):
    """The error is about the copy, as nothing can be done to what is closed."""
    model = target.load()
    session = model.open_session()
    stream = session.generate("one", max_tokens=3)
    stream.close()
    session.close()
    model.close()
    for handle in (stream, session, model):
        assert all(refused(handle))


def test_a_model_is_loaded_again_from_its_reference(target, greedy):
    """In a pickle it goes anywhere; the same backend with the same settings gives the same."""
    with target.load(n_ctx=256) as model:
        reference = model.reference
        with model.open_session() as session:
            done = session.complete("one two", sampling=greedy, max_tokens=8)
    assert reference.engine.n_ctx == 256
    again = pickle.loads(pickle.dumps(reference))
    assert (again.reference, again.params, again.engine) == (
        reference.reference,
        reference.params,
        reference.engine,
    )
    with again.load() as model, model.open_session() as session:
        assert session.complete("one two", sampling=greedy, max_tokens=8).text == done.text
        assert model.reference.reference == reference.reference
        assert model.reference.params == reference.params


def test_a_load_that_fails_leaves_no_noise(target):
    """Nothing half-made is finalized aloud."""
    with silence(), pytest.raises(HeadraceError):
        headrace.load_model(
            "/nonesuch/model.gguf", backend=_name(target), params=ModelParams(check_memory=False)
        )


def _name(target) -> str:
    with target.load() as model:
        return model.info.backend
