"""Vocabularies that are wrong."""

from __future__ import annotations

from tests.unit.testing import faulty
from tests.unit.testing.broken.making import breaks, generating, replaced, wrap


@breaks("tokens.in_vocabulary")
def _(model):
    wrap(model, "tokenize", lambda inner, *a, **k: [*inner(*a, **k), 10**6])


@breaks("tokens.round_trip")
def _(model):
    wrap(model, "detokenize", lambda inner, *a, **k: inner(*a, **k)[:-1])


@breaks("tokens.nothing")
def _(model):
    wrap(model, "tokenize", lambda inner, *a, **k: inner(*a, **k) or [65])


@breaks("tokens.special")
def _(model):
    wrap(model, "tokenize", lambda inner, *a, add_special, **k: inner(*a, **k)[: 4 - add_special])


@breaks("tokens.outside")
def _(model):
    def lenient(inner, tokens, **keywords):
        return inner([each for each in tokens if 0 <= each < 259], **keywords)

    wrap(model, "detokenize", lenient)


@breaks("tokens.surrogates")
def _(model):
    wrap(model, "tokenize", lambda inner, text, **k: inner(replaced(text), **k))


@generating("tokens.prompts")
def _(session, inner, prompt, **keywords):
    return inner(prompt[1:] if isinstance(prompt, list) else prompt, **keywords)


@breaks("tokens.plain")
def _(model):
    wrap(model, "tokenize", lambda inner, *a, **k: list(map(faulty.PlainInt, inner(*a, **k))))
