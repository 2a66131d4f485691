"""A time limit that falls into something which is asked on the side is not swallowed there."""

from __future__ import annotations

import signal

import pytest

import headrace
from headrace.inspection.check import run_stages
from headrace_fake import FakeBackend
from tests.unit.engine.test_interrupted_driver import SoftTimeLimit, raised_by_signals


class Late:
    """An observer, a resolver and a backend in which the time is over."""

    scheme = "late"
    description = "late:anything"

    def generation_started(self, event):
        """Of an observer."""
        signal.raise_signal(signal.SIGUSR1)

    def resolve(self, request):
        """Of a resolver."""
        signal.raise_signal(signal.SIGUSR1)


class LateBackend(FakeBackend):
    """In which the time is over whatever it is asked."""

    def _late(self, *arguments):
        signal.raise_signal(signal.SIGUSR1)

    can_load = load = devices = estimate = _late


@pytest.fixture(autouse=True)
def time_limit():
    """Raised from a signal handler."""
    with raised_by_signals(SoftTimeLimit):
        yield


def test_in_an_observer():
    """It is no mistake of the observer's, which goes on being told."""
    with headrace.load_model("fake:", backend=FakeBackend()) as model:
        session = model.open_session()
        with headrace.observe(Late()), pytest.raises(SoftTimeLimit):
            session.complete("x", max_tokens=2)


def test_in_a_resolver():
    """Nothing was wrong with the reference."""
    from headrace.loading.resolve import resolve

    with pytest.raises(SoftTimeLimit):
        resolve(Late(), "late:model", None)


@pytest.mark.parametrize(
    "ask",
    [
        lambda backend: headrace.load_model("fake:", backend=backend),
        lambda backend: headrace.devices(backend=backend),
        lambda backend: headrace.estimate_memory("fake:", backend=backend),
    ],
    ids=["load", "devices", "estimate"],
)
def test_in_a_backend(ask):
    """No backend is blamed."""
    with pytest.raises(SoftTimeLimit):
        ask(LateBackend())


def test_in_a_check():
    """It says nothing of the file."""
    with pytest.raises(SoftTimeLimit):
        list(run_stages(LateBackend(), "fake:", lambda name: None))
