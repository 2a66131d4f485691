"""What is not copied, and what stands for a model where it cannot go."""

from __future__ import annotations

import copy
import os
import pickle
import threading

import pytest

import headrace
from headrace import (
    CopyError,
    EngineParams,
    ModelParams,
    ModelReference,
    Observer,
    UsageError,
)
from headrace.engine import EngineModel
from headrace.protocols import LoadRequest
from headrace_fake import FakeBackend
from tests.unit.testing.text_only import EchoBackend


def refuse(handle: object) -> None:
    """See every way of copying it refused."""
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(CopyError, match=type(handle).__name__):
            way(handle)


def test_handles_of_other_backends_are_not_copied_either():
    """Whoever inherits the bases has it from there."""
    with headrace.load_model("echo:", backend=EchoBackend()) as model:
        session = model.open_session()
        stream = session.generate("one", max_tokens=3)
        for handle in (model, session, stream):
            refuse(handle)
        assert stream.read().text == "1 2 3 "
        assert session.complete("a", max_tokens=3).text == "4 5 6 "


def test_an_observation_goes_on():
    """A copy that is closed would end it."""
    with headrace.observe(Observer()) as observation:
        refuse(observation)


def test_it_is_what_python_raises_for_such_things():
    """So that programs which know that of locks and files need not know headrace."""
    with (
        headrace.load_model("fake:") as model,
        pytest.raises(TypeError, match="cannot be copied or pickled"),
    ):
        copy.deepcopy({"nested": [model]})


# -- references ---------------------------------------------------------------


def test_a_relative_path_becomes_absolute(tmp_path, monkeypatch):
    """It would mean another file after a change of directory."""
    (tmp_path / "words.gguf").write_text("x")
    monkeypatch.chdir(tmp_path)
    backend = EchoBackend()
    backend.can_load = lambda reference: True
    with headrace.load_model("words.gguf", backend=backend) as model:
        assert model.reference.reference == os.path.join(tmp_path, "words.gguf")


def test_what_the_backend_calls_its_models_stays():
    """It is no path."""
    with headrace.load_model("fake:Hello") as model:
        assert model.reference == ModelReference("fake:Hello", backend="fake")


def test_the_backend_is_in_it_whoever_chose_it(monkeypatch):
    """By name: the other process may see other backends or another variable."""
    monkeypatch.setenv("HEADRACE_BACKEND", "fake")
    with headrace.load_model("fake:") as model:
        assert model.reference.backend == "fake"


def test_settings_come_back():
    """What was loaded, and what its sessions share."""
    params, engine = ModelParams(vocab_only=True), EngineParams(n_ctx=128)
    with headrace.load_model("fake:", params=params, engine=engine) as model:
        assert model.reference == ModelReference(
            "fake:", backend="fake", params=params, engine=engine
        )


def test_a_backend_object_is_kept_with_its_options():
    """The installed one of its name would load something else."""
    backend = FakeBackend(script="told")
    with headrace.load_model("fake:", backend=backend) as model:
        reference = model.reference
    assert reference.backend is backend
    with pickle.loads(pickle.dumps(reference)).load() as model:
        assert model.open_session().complete("x").text == "told"


def test_a_backend_object_that_cannot_travel_says_so():
    """With the way out; the reference is of use in this process all the same."""
    backend = EchoBackend()
    backend.lock = threading.Lock()
    with headrace.load_model("echo:", backend=backend) as model:
        reference = model.reference
    with pytest.raises(CopyError, match="backend object") as caught:
        pickle.dumps(reference)
    assert "name" in caught.value.hint
    with reference.load() as model:
        assert model.reference == reference


def test_a_model_made_by_hand_has_none():
    """Nobody named what it was made of."""
    backend = FakeBackend()
    request = LoadRequest(reference="fake:", params=ModelParams(), engine=EngineParams())
    with EngineModel(
        backend.load_decoder_model(request), request.engine, backend.capabilities()
    ) as model:
        with pytest.raises(UsageError, match="load_model"):
            _ = model.reference
        assert isinstance(model, headrace.Model)


def test_a_task_loads_from_it_too():
    """Without stopping the event loop."""
    import anyio

    async def talk():
        async with await ModelReference("fake:Hello").aload() as model:
            return model.open_session().complete("x").text

    assert anyio.run(talk) == "Hello"


def test_it_is_short_in_a_message():
    """What was loaded and by what; not every setting."""
    assert repr(ModelReference("fake:x", backend="fake")) == "<ModelReference 'fake:x' by fake>"
