"""The two tiers a backend can implement.

``waist`` is what callers use and what a remote or subprocess backend
implements directly; ``decoder`` is what an in-process library implements to
get the waist from ``headrace.engine`` for free.
"""

from headrace.protocols.adapters import (
    AdapterDecoder,
    AdapterModel,
    AppliedAdapter,
    LoadedAdapter,
)
from headrace.protocols.chat import (
    ChatFormatter,
    ChatParser,
    ChatRequest,
    RenderedChat,
)
from headrace.protocols.decoder import (
    ApartDecoder,
    DecoderInfo,
    DecoderModel,
    Row,
    RowResult,
    Sampler,
    SequenceDecoder,
    StepOutcome,
    StepStatus,
    Truncation,
    Vocabulary,
)
from headrace.protocols.embedding import Embedder, EmbedderInfo, EmbeddingModel, Pooling
from headrace.protocols.recommending import RecommendsSampling
from headrace.protocols.score import ScoreOutcome, ScoreRow, ScoringDecoder
from headrace.protocols.state import StatefulDecoder
from headrace.protocols.waist import (
    PROTOCOL_VERSION,
    Backend,
    Delta,
    Generation,
    GenerationReport,
    LoadRequest,
    Model,
    Piece,
    Session,
)

__all__ = [
    "PROTOCOL_VERSION",
    "AdapterDecoder",
    "AdapterModel",
    "ApartDecoder",
    "AppliedAdapter",
    "Backend",
    "ChatFormatter",
    "ChatParser",
    "ChatRequest",
    "DecoderInfo",
    "DecoderModel",
    "Delta",
    "Embedder",
    "EmbedderInfo",
    "EmbeddingModel",
    "Generation",
    "GenerationReport",
    "LoadRequest",
    "LoadedAdapter",
    "Model",
    "Piece",
    "Pooling",
    "RecommendsSampling",
    "RenderedChat",
    "Row",
    "RowResult",
    "Sampler",
    "ScoreOutcome",
    "ScoreRow",
    "ScoringDecoder",
    "SequenceDecoder",
    "Session",
    "StatefulDecoder",
    "StepOutcome",
    "StepStatus",
    "Truncation",
    "Vocabulary",
]
