"""Histories that are not what was said."""

from __future__ import annotations

import contextlib

from headrace import (
    BusyError,
    StopReason,
)
from tests.unit.testing.broken.making import (
    breaks,
    change_class,
    generating,
    restless,
    wrap,
)

for _id in ("history.going_on", "fork.same", "rewind.same_again"):
    generating(_id)(restless)


@breaks("history.order")
def _(session):
    real = type(session).tokens
    change_class(session, tokens=property(lambda self: sorted(real.fget(self))))


@breaks("history.copy")
def _(session):
    real = type(session).tokens

    def cached(self):
        self.__dict__.setdefault("cached", real.fget(self))
        return self.cached

    change_class(session, tokens=property(cached))


def _forgets(id: str, ends, count) -> None:
    def stream(stream):
        generation = stream._generation

        def settle(inner, reason, seen, carry=b""):
            return inner(reason, count(generation, seen) if reason in ends else seen, carry)

        wrap(generation, "settle", settle)

    breaks(id)(stream)


_forgets("history.cancelled", {StopReason.CANCELLED}, lambda generation, seen: max(0, seen - 1))


_forgets("history.any_walk", set(StopReason), lambda generation, seen: max(0, seen - 1))


_forgets(
    "history.stop_string", {StopReason.STOP_STRING}, lambda generation, seen: generation.pulled
)


@generating("history.empty")
def _(session, inner, prompt, **keywords):
    return inner("x" if prompt is None and not session.tokens else prompt, **keywords)


@breaks("rewind.any_length")
def _(session):
    wrap(session, "rewind", lambda inner, to: inner(to=to // 4 * 4))


@breaks("rewind.range")
def _(session):
    def clamped(inner, to):
        return inner(to=min(max(int(to or 0), 0), len(session.tokens)))

    wrap(session, "rewind", clamped)


@breaks("rewind.busy")
def _(session):
    def quiet(inner, **keywords):
        with contextlib.suppress(BusyError):
            inner(**keywords)

    wrap(session, "rewind", quiet)


@breaks("reset.like_new")
def _(session):
    session.reset = lambda: None


@breaks("fork.own_way")
def _(session):
    session.fork = lambda: session
