"""Chat, infilling and adapters that do something else."""

from __future__ import annotations

import attrs

from headrace import (
    ParamsError,
)
from tests.unit.testing.broken.making import (
    breaks,
    change_class,
    wrap,
)


@breaks("chat.chunks")
def _(session):
    def shout(inner, *args, **keywords):
        stream = inner(*args, **keywords)
        real = type(stream).result

        def result(self):
            done = real.fget(self)
            return attrs.evolve(done, message=attrs.evolve(done.message, content="?"))

        change_class(stream, result=property(result))
        return stream

    wrap(session, "chat", shout)


@breaks("chat.turns")
def _(session):
    def short(inner, messages, **keywords):
        return inner(messages[-1:] if session.tokens else messages, **keywords)

    wrap(session, "chat", short)


@breaks("chat.bad_message")
def _(session):
    def lenient(inner, messages, **keywords):
        try:
            return inner(messages, **keywords)
        except ParamsError:
            return inner(messages[:1], **keywords)

    wrap(session, "chat", lenient)


@breaks("infill.writes")
def _(session):
    wrap(session, "infill", lambda inner, *a, **k: inner(*a, **{**k, "timeout": 0.0}))


@breaks("adapters.act")
def _(model):
    wrap(model, "open_session", lambda inner, params: inner(attrs.evolve(params, adapters=())))
