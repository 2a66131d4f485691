"""Grammars that are not kept, or that change more than what is written."""

from __future__ import annotations

import attrs

from headrace.testing.rules import all_rules
from tests.unit.testing.broken.making import generating


def _unconstrained(session, inner, prompt, *, sampling, **keywords):
    return inner(prompt, sampling=attrs.evolve(sampling, grammar=None), **keywords)


def _of_another_place(session, inner, prompt, *, sampling, **keywords):
    more = "!" if sampling.grammar is not None else ""
    return inner(prompt + more, sampling=sampling, **keywords)


for _id in all_rules():
    if _id.startswith("grammar."):
        generating(_id)(_of_another_place if _id == "grammar.logprobs" else _unconstrained)
