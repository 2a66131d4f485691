"""Cancels that do not do what they should."""

from __future__ import annotations

from headrace import (
    DecodeError,
)
from tests.unit.testing.broken.making import Broken, breaks, deaf, generating, run_ahead, wrap

breaks("cancel.unread")(lambda stream: run_ahead(stream))


for _id in ("cancel.ends", "cancel.other_thread"):
    breaks(_id)(lambda stream: deaf(stream))


@breaks("cancel.usable")
def _(session):
    streams = []

    def once(inner, *args, **keywords):
        if any(stream._generation.interrupted for stream in streams):
            raise DecodeError("the session was cancelled")
        streams.append(inner(*args, **keywords))
        return streams[-1]

    wrap(session, "generate", once)


@breaks("cancel.dropped")
def _(session):
    session.kept = []

    def keep(inner, *args, **keywords):
        session.kept.append(inner(*args, **keywords))
        return session.kept[-1]

    wrap(session, "generate", keep)


@breaks("cancel.others")
def _(backend):
    generations = []

    def keep(stream):
        generations.append(stream._generation)
        stream._generation.interrupt = lambda reason: [
            type(each).interrupt(each, reason) for each in generations
        ]

    return Broken(stream=keep)


_SLOW = {"delay": 0.02}
breaks("cancel.in_time", _SLOW, interrupt_seconds=0.2)(lambda stream: deaf(stream))


@generating("cancel.time_out", options=_SLOW, interrupt_seconds=0.2)
def _(session, inner, prompt, *, timeout=None, **keywords):
    return inner(prompt, **keywords)
