"""What a backend implements: everything that its author imports, in one place.

``Model`` and ``Session`` are what callers use, and what a backend for a remote service
implements directly; a library that runs in the process implements ``SequenceDecoder`` and gets
both from ``headrace.engine``. What can be added to which object says
``headrace.backend.abilities``.
"""

from headrace.adapters import LoadedAdapter
from headrace.backend.abilities import (
    AdapterDecoder,
    AdapterModel,
    ApartDecoder,
    AppliedAdapter,
    ChatFormatter,
    Embedder,
    EmbedderInfo,
    EmbeddingModel,
    Pooling,
    RecommendsSampling,
    ScoreOutcome,
    ScoreRow,
    ScoringDecoder,
    StatefulDecoder,
)
from headrace.backend.backend import PROTOCOL_VERSION, Backend, LoadRequest
from headrace.backend.decoder import (
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
from headrace.backend.host import Host
from headrace.backend.plugins.hookspecs import hookimpl
from headrace.backend.resolver import Resolver, ResolveRequest
from headrace.backend.serial_decoder import SerialDecoder, decoder_info
from headrace.model import Model
from headrace.requests.chat import ChatRequest
from headrace.session import Session
from headrace.streams.generation import Delta, Generation, GenerationReport, Piece
from headrace.streams.parser import ChatParser, RenderedChat

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
    "Host",
    "LoadRequest",
    "LoadedAdapter",
    "Model",
    "Piece",
    "Pooling",
    "RecommendsSampling",
    "RenderedChat",
    "ResolveRequest",
    "Resolver",
    "Row",
    "RowResult",
    "Sampler",
    "ScoreOutcome",
    "ScoreRow",
    "ScoringDecoder",
    "SequenceDecoder",
    "SerialDecoder",
    "Session",
    "StatefulDecoder",
    "StepOutcome",
    "StepStatus",
    "Truncation",
    "Vocabulary",
    "decoder_info",
    "hookimpl",
]
