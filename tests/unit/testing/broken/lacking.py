"""Backends that do what they say they lack."""

from __future__ import annotations

from headrace import (
    Capability,
)
from tests.unit.testing.broken.making import (
    BREAKERS,
    Broken,
    subject,
    wrap,
)


def _pretend_to_lack(capability: Capability) -> None:
    def model(model):
        model._capabilities -= {capability}
        if capability in (Capability.LORA, Capability.CONTROL_VECTORS):
            model.load_adapter = model.load_control_vector = lambda path: None

    def session(session):
        wrap(session, "generate", lambda inner, *a, sampling=None, **k: inner(*a, **k))
        session.infill = lambda prefix, suffix: session.generate(prefix)

    BREAKERS[f"lacking.{capability}"] = lambda: subject(Broken(model=model, session=session))


for _capability in (
    *(Capability.TOKENIZE, Capability.EMBED, Capability.RERANK, Capability.LORA),
    *(Capability.CONTROL_VECTORS, Capability.SHIFT, Capability.REPRODUCIBLE),
    *(Capability.LOGPROBS, Capability.GRAMMAR, Capability.SCORE, Capability.STATE),
    *(Capability.CHAT, Capability.INFILL),
):
    _pretend_to_lack(_capability)
