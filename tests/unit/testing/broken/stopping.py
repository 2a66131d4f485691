"""Generations that do not end as they should."""

from __future__ import annotations

from headrace import (
    DecodeError,
    StopReason,
)
from tests.unit.testing import faulty
from tests.unit.testing.broken.making import BREAKERS, breaks, generating, wrap


@generating("stop.max_tokens")
def _(session, inner, prompt, *, max_tokens, **keywords):
    return inner(prompt, max_tokens=max_tokens and max_tokens + 1, **keywords)


@generating("stop.max_tokens_zero")
def _(session, inner, prompt, *, max_tokens, **keywords):
    return inner(prompt, max_tokens=max_tokens or 1, **keywords)


@generating("stop.string")
def _(session, inner, prompt, *, stop=(), **keywords):
    return inner(prompt, **keywords)


@generating("stop.timeout")
def _(session, inner, prompt, *, timeout=None, **keywords):
    return inner(prompt, **keywords)


@breaks("stop.context_full")
def _(stream):
    def fail(inner, max_wait):
        delta = inner(max_wait)
        if delta.end is StopReason.CONTEXT_FULL:
            raise DecodeError("no room")
        return delta

    wrap(stream._generation, "pull", fail)


@generating("stop.too_long")
def _(session, inner, prompt, **keywords):
    return inner(prompt[-200:] if isinstance(prompt, list) else prompt, **keywords)


@breaks("stop.shift")
def _(model):
    wrap(model, "open_session", lambda inner, params: inner())


BREAKERS["stop.ignore_eog"] = lambda: faulty.subject("eog_not_banned")
