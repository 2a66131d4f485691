"""Streams that are not as they should be."""

from __future__ import annotations

import contextlib

import attrs

from headrace import (
    TokenStream,
)
from headrace.results import Chunk
from tests.unit.testing.broken.making import (
    breaks,
    change_class,
    run_ahead,
    settling,
    wrap,
)


@breaks("stream.class")
def _(session):
    session.generate = lambda *a, **k: contextlib.nullcontext(iter([Chunk("x")]))


@breaks("stream.chunks")
def _(stream):
    change_class(
        stream,
        __next__=lambda self: attrs.evolve(TokenStream.__next__(self), text="?"),
    )


@breaks("stream.piecemeal")
def _(stream):
    def all_at_once(inner, max_wait):
        delta = inner(max_wait)
        while delta.end is None:
            more = inner(max_wait)
            delta = attrs.evolve(more, pieces=delta.pieces + more.pieces)
        return delta

    wrap(stream._generation, "pull", all_at_once)


breaks("stream.lazy")(lambda stream: run_ahead(stream))


@breaks("stream.backpressure")
def _(stream):
    stream._generation.counters = lambda: (1000, 1000, 0)


settling("stream.usage", lambda report: attrs.evolve(report, usage=type(report.usage)()))


settling(
    "stream.timings",
    lambda report: attrs.evolve(report, timings=attrs.evolve(report.timings, total_seconds=-1.0)),
)


settling(
    "stream.receipt",
    lambda report: attrs.evolve(report, receipt=attrs.evolve(report.receipt, reason="")),
)


@breaks("stream.busy")
def _(session):
    streams = []

    def cancel_first(inner, *args, **keywords):
        for stream in streams:
            stream.close()
        streams.append(inner(*args, **keywords))
        return streams[-1]

    wrap(session, "generate", cancel_first)
