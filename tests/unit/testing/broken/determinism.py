"""Runs that do not repeat."""

from __future__ import annotations

import attrs

from tests.unit.testing.broken.making import (
    Broken,
    breaks,
    generating,
    restless,
    settling,
    wrap,
)

settling(
    "determinism.promised",
    lambda report: attrs.evolve(report, receipt=attrs.evolve(report.receipt, reproducible=True)),
)


settling(
    "determinism.seed",
    lambda report: attrs.evolve(
        report, receipt=attrs.evolve(report.receipt, seed=(report.receipt.seed or 0) + 1)
    ),
)


generating("determinism.greedy")(restless)


@generating("determinism.seeds_differ")
def _(session, inner, prompt, *, sampling, **keywords):
    return inner(prompt, sampling=attrs.evolve(sampling, seed=1), **keywords)


@breaks("determinism.neighbours", ignore_eog=True)
def _(backend):
    streams = []

    def disturb(stream):
        streams.append(stream)

        def pull(inner, max_wait):
            delta = inner(max_wait)
            pieces = [attrs.evolve(each, data=b"?") for each in delta.pieces]
            return attrs.evolve(delta, pieces=tuple(pieces)) if len(streams) > 1 else delta

        wrap(stream._generation, "pull", pull)

    return Broken(stream=disturb)


@breaks("determinism.departures")
def _(backend):
    return backend(mean_length=0, placement="denied")
