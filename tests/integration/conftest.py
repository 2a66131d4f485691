"""Fixtures over the real llama.cpp.

Nothing is collected unless ``HEADRACE_TEST_LLAMACPP=1`` asks for it; then
whatever is missing or broken fails the tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from headrace.params import EngineParams, ModelParams
from tests.integration.driving import Driver, load_decoder_model
from tests.support import gemma, tiny_gguf

collect_ignore_glob = [] if os.environ.get("HEADRACE_TEST_LLAMACPP") == "1" else ["test_*.py"]

KINDS = ("attention", "window", "recurrent")


@pytest.fixture
def load() -> Iterator[Callable[..., object]]:
    """Load a tiny model by kind, with fields of ``ModelParams``; closed after the test."""
    models = []

    def _load(kind: str = "attention", **params: object) -> object:
        model = load_decoder_model(tiny_gguf.path(kind), ModelParams(**params))
        models.append(model)
        return model

    yield _load
    for model in models:
        model.close()


@pytest.fixture
def open_driver(load: Callable[..., object]) -> Iterator[Callable[..., Driver]]:
    """Open a context over a tiny model, with fields of ``EngineParams``; closed after the test."""
    drivers = []

    def _open(kind: str = "attention", **engine: object) -> Driver:
        settings = {"n_ctx": 512, "n_sequences": 4, "n_threads": 1, **engine}
        driver = Driver(load(kind), EngineParams(**settings))
        drivers.append(driver)
        return driver

    yield _open
    for driver in drivers:
        driver.decoder.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of memory."""
    return request.param


@pytest.fixture(scope="session")
def gemma_path() -> str:
    """The file of the Gemma model."""
    return str(gemma.path())
