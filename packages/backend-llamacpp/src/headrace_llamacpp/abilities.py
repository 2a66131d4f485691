"""What llama.cpp's models can do at best, known without importing the binding."""

from __future__ import annotations

from headrace.results import Capability

ABILITIES = frozenset(
    {
        Capability.TOKENIZE,
        Capability.GENERATE,
        Capability.BATCHING,
        Capability.INTERRUPT,
        Capability.SHIFT,
        Capability.REPRODUCIBLE,
        Capability.SPECULATE,
        Capability.SAMPLERS,
        Capability.LOGPROBS,
        Capability.EMBED,
        Capability.RERANK,
        Capability.STATE,
        Capability.CHAT,
        Capability.GRAMMAR,
        Capability.LORA,
        Capability.CONTROL_VECTORS,
        Capability.SCORE,
        Capability.INFILL,
    }
)
