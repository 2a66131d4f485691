"""Backends that present themselves wrongly."""

from __future__ import annotations

from headrace import (
    Capability,
)
from tests.unit.testing.broken.making import (
    BREAKERS,
    breaks,
    subject,
)

BREAKERS["discovery.found"] = lambda: subject("no-such-backend")


@breaks("discovery.protocol")
def _(backend):
    made = backend()
    made.protocol_version = 99
    return made


@breaks("discovery.capabilities")
def _(model):
    model._capabilities |= {Capability.IMAGES}


@breaks("discovery.can_load")
def _(backend):
    made = backend()
    made.can_load = lambda reference: open(reference, "rb").read(4) == b"FAKE"  # noqa: SIM115
    return made
