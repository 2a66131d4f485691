"""Engines over fakes that are told what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import headrace
from headrace import EngineParams, Model, SamplingParams
from headrace_fake import FakeBackend

GREEDY = SamplingParams(temperature=0.0)


class FakeEngine:
    """A loaded fake model, and the backend that notes breaches of the protocol."""

    def __init__(self, engine: dict[str, object], options: dict[str, object]) -> None:
        self.backend = FakeBackend(**{"mean_length": 0, **options})
        self.model: Model = headrace.load_model(
            "fake:", backend=self.backend, engine=EngineParams(**engine)
        )

    def stream(self, prompt: str = "prompt", **arguments: object):
        """A greedy stream of a session of its own."""
        arguments = {"sampling": GREEDY, "ignore_eog": True, **arguments}
        return self.model.open_session().generate(prompt, **arguments)

    def tokens(self, prompt: str = "prompt", max_tokens: int = 8) -> tuple[int, ...]:
        """What an undisturbed session writes."""
        with self.model.open_session() as session:
            done = session.complete(prompt, sampling=GREEDY, max_tokens=max_tokens, ignore_eog=True)
        return done.tokens


@pytest.fixture
def fake() -> Iterator[Callable[..., FakeEngine]]:
    """Makes fakes: ``fake(n_sequences=2, script="text")``; closed and checked afterwards."""
    made: list[FakeEngine] = []

    def make(*, engine: dict[str, object] | None = None, **options: object) -> FakeEngine:
        made.append(FakeEngine(engine or {}, options))
        return made[-1]

    yield make
    for each in made:
        each.model.close()
        assert each.backend.violations == ()
        assert each.backend.decoders == []
