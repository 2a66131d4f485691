"""What a backend implements: everything that its author imports, in one place.

``Model`` and ``Session`` are what callers use, and what a backend for a remote service
implements directly; a library that runs in the process implements ``SequenceDecoder`` and gets
both from ``headrace.engine``. What can be added to which object says
``headrace.backend.abilities``.
"""

from typing import TYPE_CHECKING

from headrace.backend.plugins.hookspecs import hookimpl
from headrace.common.later import attributes

if TYPE_CHECKING:
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
        ListsPieces,
        Pooling,
        RecalledDecoder,
        RecommendsSampling,
        ScoreOutcome,
        ScoreRow,
        ScoringDecoder,
        StatefulDecoder,
    )
    from headrace.backend.answer import ServiceCall, network_error
    from headrace.backend.backend import PROTOCOL_VERSION, Backend, LoadRequest
    from headrace.backend.commands import Command
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
        allowed_tokens,
        is_allowed,
    )
    from headrace.backend.host import Host
    from headrace.backend.resolver import Resolver, ResolveRequest
    from headrace.backend.serial_decoder import SerialDecoder, decoder_info
    from headrace.backend.service import ServiceModel, ServiceSession
    from headrace.backend.submitting import SubmittingSession
    from headrace.common.work import Work
    from headrace.model import Model
    from headrace.requests.chat import ChatRequest
    from headrace.requests.generation import GenerateRequest
    from headrace.requests.infill import InfillRequest
    from headrace.requests.score import ScoreRequest
    from headrace.requests.vectors import EmbedRequest, RankRequest
    from headrace.session import Session
    from headrace.streams.generation import (
        Begun,
        BegunChat,
        Delta,
        Generation,
        GenerationReport,
        Piece,
    )
    from headrace.streams.parser import (
        ChatParser,
        NoParser,
        PlainTextParser,
        RenderedChat,
        WholeTextParser,
    )

_LATER = {
    "headrace.adapters": ("LoadedAdapter",),
    "headrace.backend.abilities": (
        "AdapterDecoder",
        "AdapterModel",
        "ApartDecoder",
        "AppliedAdapter",
        "ChatFormatter",
        "Embedder",
        "EmbedderInfo",
        "EmbeddingModel",
        "ListsPieces",
        "Pooling",
        "RecalledDecoder",
        "RecommendsSampling",
        "ScoreOutcome",
        "ScoreRow",
        "ScoringDecoder",
        "StatefulDecoder",
    ),
    "headrace.backend.answer": (
        "ServiceCall",
        "network_error",
    ),
    "headrace.backend.backend": (
        "PROTOCOL_VERSION",
        "Backend",
        "LoadRequest",
    ),
    "headrace.backend.commands": ("Command",),
    "headrace.backend.decoder": (
        "DecoderInfo",
        "DecoderModel",
        "Row",
        "RowResult",
        "Sampler",
        "SequenceDecoder",
        "StepOutcome",
        "StepStatus",
        "Truncation",
        "Vocabulary",
        "allowed_tokens",
        "is_allowed",
    ),
    "headrace.backend.host": ("Host",),
    "headrace.backend.resolver": (
        "Resolver",
        "ResolveRequest",
    ),
    "headrace.backend.serial_decoder": (
        "SerialDecoder",
        "decoder_info",
    ),
    "headrace.backend.service": (
        "ServiceModel",
        "ServiceSession",
    ),
    "headrace.backend.submitting": ("SubmittingSession",),
    "headrace.common.work": ("Work",),
    "headrace.model": ("Model",),
    "headrace.requests.chat": ("ChatRequest",),
    "headrace.requests.generation": ("GenerateRequest",),
    "headrace.requests.infill": ("InfillRequest",),
    "headrace.requests.score": ("ScoreRequest",),
    "headrace.requests.vectors": (
        "EmbedRequest",
        "RankRequest",
    ),
    "headrace.session": ("Session",),
    "headrace.streams.generation": (
        "Begun",
        "BegunChat",
        "Delta",
        "Generation",
        "GenerationReport",
        "Piece",
    ),
    "headrace.streams.parser": (
        "ChatParser",
        "NoParser",
        "PlainTextParser",
        "RenderedChat",
        "WholeTextParser",
    ),
}
"""What not every plugin needs: they are all imported before a model is loaded."""
if not TYPE_CHECKING:
    __getattr__, __dir__ = attributes(globals(), _LATER)

__all__ = [
    "PROTOCOL_VERSION",
    "AdapterDecoder",
    "AdapterModel",
    "ApartDecoder",
    "AppliedAdapter",
    "Backend",
    "Begun",
    "BegunChat",
    "ChatFormatter",
    "ChatParser",
    "ChatRequest",
    "Command",
    "DecoderInfo",
    "DecoderModel",
    "Delta",
    "EmbedRequest",
    "Embedder",
    "EmbedderInfo",
    "EmbeddingModel",
    "GenerateRequest",
    "Generation",
    "GenerationReport",
    "Host",
    "InfillRequest",
    "ListsPieces",
    "LoadRequest",
    "LoadedAdapter",
    "Model",
    "NoParser",
    "Piece",
    "PlainTextParser",
    "Pooling",
    "RankRequest",
    "RecalledDecoder",
    "RecommendsSampling",
    "RenderedChat",
    "ResolveRequest",
    "Resolver",
    "Row",
    "RowResult",
    "Sampler",
    "ScoreOutcome",
    "ScoreRequest",
    "ScoreRow",
    "ScoringDecoder",
    "SequenceDecoder",
    "SerialDecoder",
    "ServiceCall",
    "ServiceModel",
    "ServiceSession",
    "Session",
    "StatefulDecoder",
    "StepOutcome",
    "StepStatus",
    "SubmittingSession",
    "Truncation",
    "Vocabulary",
    "WholeTextParser",
    "Work",
    "allowed_tokens",
    "decoder_info",
    "hookimpl",
    "is_allowed",
    "network_error",
]
