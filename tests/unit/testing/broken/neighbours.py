"""Streams that are changed by those beside them."""

from __future__ import annotations

from tests.unit.testing.broken.making import generating, restless

for _id in ("alone", "drawn", "penalties", "departed"):
    generating(f"neighbours.{_id}")(restless)
