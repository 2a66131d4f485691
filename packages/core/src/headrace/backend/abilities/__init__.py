"""What authors can add, by the object that they add it to."""

from headrace.backend.abilities.of_backend import (
    ChecksFiles,
    Diagnoses,
    EstimatesMemory,
    FileStage,
    ListsDevices,
    ModelFiles,
    Progress,
    QuantizeRequest,
    ServesDevices,
    TellsBuild,
)
from headrace.backend.abilities.of_decoder import (
    AdapterDecoder,
    ApartDecoder,
    AppliedAdapter,
    ScoreOutcome,
    ScoreRow,
    ScoringDecoder,
    StatefulDecoder,
    TellsMemory,
)
from headrace.backend.abilities.of_host import Checker, HostsChecks, StageBegins
from headrace.backend.abilities.of_model import (
    AdapterModel,
    ChatFormatter,
    Embedder,
    EmbedderInfo,
    EmbeddingModel,
    Pooling,
    RecommendsSampling,
    TellsSystem,
)
from headrace.backend.abilities.of_vocabulary import ListsPieces

__all__ = [
    "AdapterDecoder",
    "AdapterModel",
    "ApartDecoder",
    "AppliedAdapter",
    "ChatFormatter",
    "Checker",
    "ChecksFiles",
    "Diagnoses",
    "Embedder",
    "EmbedderInfo",
    "EmbeddingModel",
    "EstimatesMemory",
    "FileStage",
    "HostsChecks",
    "ListsDevices",
    "ListsPieces",
    "ModelFiles",
    "Pooling",
    "Progress",
    "QuantizeRequest",
    "RecommendsSampling",
    "ScoreOutcome",
    "ScoreRow",
    "ScoringDecoder",
    "ServesDevices",
    "StageBegins",
    "StatefulDecoder",
    "TellsBuild",
    "TellsMemory",
    "TellsSystem",
]
