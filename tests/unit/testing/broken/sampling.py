"""Samplers that ignore what they are told."""

from __future__ import annotations

from tests.unit.testing import faulty
from tests.unit.testing.broken.making import BREAKERS

BREAKERS["sampling.plain"] = lambda: faulty.subject("logprobs_after_temperature")
BREAKERS["sampling.temperature"] = lambda: faulty.subject("temperature_ignored")
BREAKERS["sampling.top_k"] = lambda: faulty.subject("top_k_ignored")
BREAKERS["sampling.top_p"] = lambda: faulty.subject("top_p_ignored")
BREAKERS["sampling.min_p"] = lambda: faulty.subject("min_p_ignored")
BREAKERS["sampling.repeat_penalty"] = lambda: faulty.subject("penalty_ignored")
