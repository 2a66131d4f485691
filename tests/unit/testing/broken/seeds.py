"""Seeds that are ignored."""

from __future__ import annotations

import attrs

from tests.unit.testing.broken.making import generating, restless

generating("seed.repeats")(restless)


@generating("seed.differs")
def _(session, inner, prompt, *, sampling, **keywords):
    return inner(prompt, sampling=attrs.evolve(sampling, seed=1), **keywords)
