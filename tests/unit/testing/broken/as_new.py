"""Memories after which something else follows than after new ones."""

from __future__ import annotations

from tests.unit.testing.broken.making import generating, restless

for _id in ("rewind.as_new", "fork.as_new", "state.new_model"):
    generating(_id)(restless)
generating("shift.as_new", shifts_exactly=True)(restless)


@generating("history.order_matters")
def _(session, inner, prompt, **keywords):
    return inner(sorted(prompt) if isinstance(prompt, list) else prompt, **keywords)
