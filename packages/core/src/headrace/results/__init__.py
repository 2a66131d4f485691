"""What calls give back: frozen values without behaviour."""

from headrace.results.generation import (
    Chunk,
    Completion,
    Receipt,
    StopReason,
    StreamStatistics,
    Timings,
    TokenLogprob,
    Usage,
)
from headrace.results.model import Capability, ModelInfo

__all__ = [
    "Capability",
    "Chunk",
    "Completion",
    "ModelInfo",
    "Receipt",
    "StopReason",
    "StreamStatistics",
    "Timings",
    "TokenLogprob",
    "Usage",
]
