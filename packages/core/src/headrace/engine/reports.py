"""The numbers of a generation, as its stream's result tells them."""

from __future__ import annotations

from headrace.backend.decoder import DecoderInfo
from headrace.engine.state import Run, Sequence
from headrace.results import ModelInfo, Receipt, Usage
from headrace.streams.generation import GenerationReport


def make_report(generation: Run, info: DecoderInfo, model: ModelInfo) -> GenerationReport:
    """The numbers, as they stand."""
    sequence = generation.sequence
    disturbed = sequence.disturbed(info)
    return GenerationReport(
        usage=Usage(
            prompt_tokens=generation.prompt_tokens,
            cached_tokens=generation.cached or 0,
            completion_tokens=generation.seen,
        ),
        timings=generation.tally.timings(),
        receipt=Receipt(
            backend=model.backend,
            build=model.build,
            seed=generation.seed,
            reproducible=sequence.reproducible and not disturbed,
            reason=_reason(sequence, disturbed),
            n_threads=_threads(sequence, info),
            adapters=tuple((use.handle.name, use.scale) for use in generation.adapters),
        ),
    )


def _threads(sequence: Sequence, info: DecoderInfo) -> int | None:
    return info.n_threads if sequence.reproducible or not info.threads_vary else None


def _reason(sequence: Sequence, disturbed: str) -> str:
    if not sequence.reproducible:
        return "the session was not opened with reproducible=True"
    if disturbed:
        return disturbed
    width = sequence.width
    if width == 1:
        return "computed alone, with cuts of its own"
    return f"computed alone, {width} tokens at a time, which makes it the same with any drafts"
