"""Opens fake decoders without an engine, and drives them the plain way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from headrace.params import EngineParams, ModelParams, SamplingParams
from headrace.protocols import LoadRequest, Row, Sampler, StepOutcome
from headrace_fake import FakeBackend, FakeDecoder

GREEDY = SamplingParams(temperature=0.0)


@attrs.define
class Bench:
    """A decoder with the backend it came from."""

    backend: FakeBackend
    decoder: FakeDecoder
    ids: Any = attrs.field(factory=itertools.count)

    def sampler(self, *, seed: int = 1, ban_eog: bool = False, **params: Any) -> Sampler:
        """A greedy sampler, if nothing else is said."""
        sampling = attrs.evolve(GREEDY, **params)
        return self.decoder.new_sampler(sampling, seed=seed, recent=(), ban_eog=ban_eog)

    def run(
        self,
        tokens: Sequence[int],
        sampler: Sampler | None = None,
        *,
        sequence: int = 0,
        time_limit: float | None = None,
    ) -> StepOutcome:
        """One step with one row at the end of a sequence's memory."""
        position = len(self.decoder.memory(sequence))
        row = Row(sequence, position, tokens, sampler)
        return self.decoder.step(next(self.ids), [row], time_limit=time_limit)

    def write(
        self, prompt: Sequence[int], n_tokens: int, *, sequence: int = 0, **sampling: Any
    ) -> bytes:
        """Prefill a prompt and generate; the last token stays undecoded."""
        sampler = self.sampler(**sampling)
        written: list[int] = []
        tokens = prompt
        while len(written) < n_tokens:
            tokens = self.run(tokens, sampler, sequence=sequence).rows[0].tokens
            written.extend(tokens)
        return self.decoder_text(written)

    @staticmethod
    def decoder_text(tokens: Sequence[int]) -> bytes:
        """Bytes, with ``EOS`` as a dollar sign."""
        return bytes(token if token < 256 else ord("$") for token in tokens)


OpenBench = Callable[..., Bench]


@pytest.fixture
def open_bench() -> OpenBench:
    """Opens a decoder: options of the fake as keywords, ``engine`` for the engine's params."""

    def open_(*, engine: EngineParams | None = None, **options: Any) -> Bench:
        backend = FakeBackend(**options)
        request = LoadRequest(
            reference="fake:", params=ModelParams(), engine=engine or EngineParams()
        )
        model = backend.load_decoder_model(request)
        decoder = model.open_decoder(request.engine)
        assert isinstance(decoder, FakeDecoder)
        # The bench keeps the backend, which forgets models that nobody holds.
        backend.kept = model  # type: ignore[attr-defined]
        return Bench(backend, decoder)

    return open_
