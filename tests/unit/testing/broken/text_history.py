"""Sessions of text whose histories are wrong."""

from __future__ import annotations

from headrace.testing import Subject
from tests.unit.testing.broken.making import BREAKERS
from tests.unit.testing.text_only import EchoBackend

for _name in ("goes_on", "cancelled", "reset", "fork"):
    BREAKERS[f"text.{_name}"] = lambda fault=_name: Subject(
        backend=EchoBackend(fault=fault), model="echo:"
    )
