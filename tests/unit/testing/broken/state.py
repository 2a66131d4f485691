"""States that are not what was saved."""

from __future__ import annotations

import contextlib

from headrace import (
    StateError,
)
from tests.unit.testing.broken.making import (
    breaks,
    shortened,
    wrap,
)

shortened("state.saving_changes_nothing", "state")


shortened("state.goes_on", "load_state")


@breaks("state.files")
def _(session):
    session.save_state = lambda target: target.write(b"")


@breaks("state.damaged")
def _(session):
    def lenient(inner, source):
        with contextlib.suppress(StateError):
            inner(source)

    wrap(session, "load_state", lenient)
