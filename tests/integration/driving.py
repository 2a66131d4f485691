"""Driving a decoder by hand, as the engine would, but one step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headrace.params import EngineParams, ModelParams, SamplingParams
from headrace.protocols import LoadRequest, Row, Sampler, StepOutcome, StepStatus
from headrace_llamacpp import LlamaCppBackend

GREEDY = SamplingParams(temperature=0.0)


def load_decoder_model(path: Path | str, params: ModelParams | None = None, progress=None):
    """A model without an engine around it."""
    request = LoadRequest(
        reference=str(path),
        params=params or ModelParams(),
        engine=EngineParams(),
        progress=progress,
    )
    return LlamaCppBackend().load_decoder_model(request)


def prompt(length: int, seed: int = 0) -> list[int]:
    """Token ids of the tiny vocabulary's words and bytes, the same for the same seed."""
    return [3 + (seed * 7919 + i * i * 31 + i * 17) % 285 for i in range(length)]


class Driver:
    """A decoder, the ids of its steps, and the length of each sequence."""

    def __init__(self, model, params: EngineParams) -> None:
        self.model = model
        self.decoder = model.open_decoder(params)
        self.step_id = 0
        self.lengths = [0] * self.decoder.info.n_sequences

    def sampler(
        self, params: SamplingParams = GREEDY, *, seed: int = 0, recent=(), ban_eog: bool = False
    ) -> Sampler:
        """A sampler, greedy unless told otherwise."""
        return self.decoder.new_sampler(params, seed=seed, recent=recent, ban_eog=ban_eog)

    def row(self, sequence: int, tokens: Sequence[int], sampler: Sampler | None = None) -> Row:
        """A row that goes on where the sequence ends."""
        return Row(sequence, self.lengths[sequence], list(tokens), sampler)

    def step(self, *rows: Row, time_limit: float | None = None) -> StepOutcome:
        """Run rows, and note what memory holds afterwards."""
        self.step_id += 1
        outcome = self.decoder.step(self.step_id, rows, time_limit=time_limit)
        for row, result in zip(rows, outcome.rows, strict=False):
            self.lengths[row.sequence] = result.length
        return outcome

    def run(self, sequence: int, tokens: Sequence[int], sampler: Sampler | None = None):
        """Run one row to its end; returns the token sampled, or None."""
        outcome = self.step(self.row(sequence, tokens, sampler))
        assert outcome.status is StepStatus.DONE, outcome
        assert outcome.rows[0].error is None, outcome
        return outcome.rows[0].tokens[0] if outcome.rows[0].tokens else None

    def generate(
        self, sequence: int, tokens: Sequence[int], count: int, sampler: Sampler | None = None
    ) -> list[int]:
        """Run a prompt and ``count`` tokens; greedy unless a sampler is given."""
        own = sampler or self.sampler()
        out = [self.run(sequence, tokens, own)]
        while len(out) < count:
            out.append(self.run(sequence, out[-1:], own))
        if sampler is None:
            own.close()
        return out

    def truncate(self, sequence: int, length: int) -> int:
        """Shorten a sequence."""
        self.lengths[sequence] = self.decoder.truncate(sequence, length)
        return self.lengths[sequence]
