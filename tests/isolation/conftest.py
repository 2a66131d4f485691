"""Models in processes of their own.

Nothing is collected unless ``HEADRACE_TEST_ISOLATION=1`` asks for it: each test starts
processes, which takes a while.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

import headrace
from headrace import IsolationParams, Model, ModelParams

collect_ignore_glob = [] if os.environ.get("HEADRACE_TEST_ISOLATION") == "1" else ["test_*.py"]


@pytest.fixture
def load() -> Iterator[Callable[..., Model]]:
    """Load a fake in a process, with fields of ``IsolationParams``; closed after the test."""
    models = []

    def load_(reference: str = "fake:#mean_length=0", **limits: object) -> Model:
        params = ModelParams(isolation=IsolationParams(**limits))
        model = headrace.load_model(reference, params=params)
        models.append(model)
        return model

    yield load_
    for model in models:
        model.close()
