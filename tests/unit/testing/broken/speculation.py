"""Drafts that change what is written."""

from __future__ import annotations

from tests.unit.testing import faulty
from tests.unit.testing.broken.making import BREAKERS, generating, restless


@generating("speculate.same")
def _(session, inner, prompt, **keywords):
    if session.params.speculate:
        return restless(session, inner, prompt, **keywords)
    return inner(prompt, **keywords)


BREAKERS["speculate.greedy"] = lambda: faulty.subject("drafts_accepted")
BREAKERS["speculate.drawn"] = lambda: faulty.subject("drafts_accepted")
