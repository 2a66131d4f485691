"""Runs every test of the contract on every target."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace import Model, SamplingParams, Session
from tests.contract.targets import TARGETS, Target

GREEDY = SamplingParams(temperature=0.0)


@pytest.fixture(params=TARGETS, ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The backend under test; the engine must keep its protocol in every test."""
    yield request.param
    assert request.param.violations() == ()


@pytest.fixture
def model(target: Target) -> Iterator[Model]:
    """A loaded model."""
    with target.load() as model:
        yield model


@pytest.fixture
def session(model: Model) -> Iterator[Session]:
    """An empty session."""
    with model.open_session() as session:
        yield session


@pytest.fixture
def greedy() -> SamplingParams:
    """Always the most likely token."""
    return GREEDY
