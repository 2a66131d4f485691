"""Backends that leave something in the process."""

from __future__ import annotations

from tests.unit.testing import faulty
from tests.unit.testing.broken.making import BREAKERS

BREAKERS["process.output"] = lambda: faulty.subject("prints_below_python")
BREAKERS["process.threads"] = lambda: faulty.subject("thread_left")
