"""Models that tasks cannot share."""

from __future__ import annotations

import attrs

from headrace import (
    StopReason,
)
from tests.unit.testing.broken.making import (
    Broken,
    breaks,
    deaf,
)

breaks("async.cancel")(lambda stream: deaf(stream))


def _apulling(id: str, make) -> None:
    @breaks(id)
    def _(stream):
        stream._generation.apull = make(stream._generation, stream._generation.apull)


def _early(generation, inner):
    async def apull(max_wait):
        return attrs.evolve(await inner(max_wait), end=StopReason.EOG)

    return apull


_busy: list[bool] = []


def _alone(generation, inner):
    async def apull(max_wait):
        if _busy:
            raise RuntimeError("one task at a time")
        _busy.append(True)
        try:
            return await inner(max_wait)
        finally:
            _busy.pop()

    return apull


def _blocking(generation, inner):
    async def apull(max_wait):
        return generation.pull(max_wait)

    return apull


_apulling("async.stream", _early)


_apulling("async.tasks", _alone)


_apulling("async.loop_turns", _blocking)


@breaks("async.close")
def _(backend):
    streams = []

    def ends_well(model):
        async def aclose():
            for stream in streams:
                stream.cancel()

        model.aclose = aclose

    return Broken(stream=streams.append, model=ends_well)
