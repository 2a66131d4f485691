"""headrace brings tokens from an inference engine to a Python program, under control.

::

    import headrace

    with headrace.load_model("model.gguf") as model, model.open_session() as session:
        for chunk in session.generate("The capital of France is", max_tokens=48):
            print(chunk.text, end="", flush=True)

Everything a caller needs is re-exported here; backends are plugins, found when
a model is loaded.
"""

from typing import TYPE_CHECKING

from headrace._version import __version__
from headrace.common import above
from headrace.common.later import attributes
from headrace.errors import (
    BackendCrashedError,
    BackendError,
    BackendNotFoundError,
    BackendProtocolError,
    BackendUnavailableError,
    BusyError,
    ChatParseError,
    ClosedError,
    ContextFullError,
    CopyError,
    DecodeError,
    ForkedProcessError,
    GrammarError,
    HeadraceError,
    ModelDownloadError,
    ModelError,
    ModelFormatError,
    ModelLoadCancelledError,
    ModelLoadError,
    ModelMemoryError,
    ModelNotFoundError,
    ParamsError,
    ServiceError,
    ServiceUnreachableError,
    StateError,
    StreamConsumedError,
    TemplateError,
    TokenizeError,
    UnsupportedError,
    UsageError,
)

if TYPE_CHECKING:
    from headrace.adapters import Adapter, AdapterInfo, ControlVector
    from headrace.backend.backend import Backend
    from headrace.grammar import (
        After,
        Choice,
        Gbnf,
        JsonSchema,
        Lark,
        Lazy,
        Regex,
        StructuralTag,
        Tag,
        Trigger,
    )
    from headrace.inspection.check import acheck_model, check_model
    from headrace.inspection.devices import aestimate_memory, devices, estimate_memory
    from headrace.inspection.diagnose import adiagnose, diagnose
    from headrace.inspection.files import inspect_file, merge_model, quantize_model, split_model
    from headrace.loading.choose import backends
    from headrace.loading.load import aload_model, load_model
    from headrace.loading.resolve import afetch_model, fetch_model
    from headrace.model import Model
    from headrace.params import (
        AdapterUse,
        ControlVectorUse,
        EngineParams,
        IsolationParams,
        ModelParams,
        SamplingParams,
        SessionParams,
    )
    from headrace.params.speculation import DraftModel, PromptLookup
    from headrace.reference import ModelReference
    from headrace.results import (
        Capability,
        Chunk,
        Completion,
        ModelInfo,
        Receipt,
        StopReason,
        StreamStatistics,
        Timings,
        TokenLogprob,
        Usage,
    )
    from headrace.results.chat import (
        ArgumentProblem,
        ChatChunk,
        ChatCompletion,
        ChatMessage,
        Tool,
        ToolCall,
        ToolCallDelta,
    )
    from headrace.results.check import (
        CheckLimits,
        CheckOutcome,
        CheckStage,
        CheckVerdict,
        ModelCheck,
    )
    from headrace.results.diagnosis import (
        BackendDiagnosis,
        BackendReport,
        CacheFolder,
        Diagnosis,
        DiagnosisFinding,
        PluginReport,
        SelfTest,
    )
    from headrace.results.files import FileInfo, TensorInfo
    from headrace.results.machine import (
        Device,
        DeviceMemory,
        MemoryEstimate,
        MemoryUsage,
        SessionMemory,
        SystemInfo,
    )
    from headrace.results.score import Score
    from headrace.results.vectors import Embeddings, RankedDocument, Ranking
    from headrace.session import Session
    from headrace.streams.chat import ChatStream
    from headrace.streams.observers import (
        GenerationEvent,
        GenerationFailed,
        GenerationFinished,
        GenerationStarted,
        Observation,
        Observer,
        observe,
    )
    from headrace.streams.tokens import TokenStream

_LATER = {
    "headrace.adapters": (
        "Adapter",
        "AdapterInfo",
        "ControlVector",
    ),
    "headrace.backend.backend": ("Backend",),
    "headrace.grammar": (
        "After",
        "Choice",
        "Gbnf",
        "JsonSchema",
        "Lark",
        "Lazy",
        "Regex",
        "StructuralTag",
        "Tag",
        "Trigger",
    ),
    "headrace.inspection.check": (
        "acheck_model",
        "check_model",
    ),
    "headrace.inspection.devices": (
        "aestimate_memory",
        "devices",
        "estimate_memory",
    ),
    "headrace.inspection.diagnose": (
        "adiagnose",
        "diagnose",
    ),
    "headrace.inspection.files": (
        "inspect_file",
        "merge_model",
        "quantize_model",
        "split_model",
    ),
    "headrace.loading.choose": ("backends",),
    "headrace.loading.load": (
        "aload_model",
        "load_model",
    ),
    "headrace.loading.resolve": (
        "afetch_model",
        "fetch_model",
    ),
    "headrace.model": ("Model",),
    "headrace.params": (
        "AdapterUse",
        "ControlVectorUse",
        "EngineParams",
        "IsolationParams",
        "ModelParams",
        "SamplingParams",
        "SessionParams",
    ),
    "headrace.params.speculation": (
        "DraftModel",
        "PromptLookup",
    ),
    "headrace.reference": ("ModelReference",),
    "headrace.results": (
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
    ),
    "headrace.results.chat": (
        "ArgumentProblem",
        "ChatChunk",
        "ChatCompletion",
        "ChatMessage",
        "Tool",
        "ToolCall",
        "ToolCallDelta",
    ),
    "headrace.results.check": (
        "CheckLimits",
        "CheckOutcome",
        "CheckStage",
        "CheckVerdict",
        "ModelCheck",
    ),
    "headrace.results.diagnosis": (
        "BackendDiagnosis",
        "BackendReport",
        "CacheFolder",
        "Diagnosis",
        "DiagnosisFinding",
        "PluginReport",
        "SelfTest",
    ),
    "headrace.results.files": (
        "FileInfo",
        "TensorInfo",
    ),
    "headrace.results.machine": (
        "Device",
        "DeviceMemory",
        "MemoryEstimate",
        "MemoryUsage",
        "SessionMemory",
        "SystemInfo",
    ),
    "headrace.results.score": ("Score",),
    "headrace.results.vectors": (
        "Embeddings",
        "RankedDocument",
        "Ranking",
    ),
    "headrace.session": ("Session",),
    "headrace.streams.chat": ("ChatStream",),
    "headrace.streams.observers": (
        "GenerationEvent",
        "GenerationFailed",
        "GenerationFinished",
        "GenerationStarted",
        "Observation",
        "Observer",
        "observe",
    ),
    "headrace.streams.tokens": ("TokenStream",),
}
"""Where names come from that are imported when they are used."""
above.homes.update(load_model="headrace.loading.load", aload_model="headrace.loading.load")
above.plugins["references"] = "headrace.loading.downloads.plugin"
if not TYPE_CHECKING:  # to a type checker, a module with ``__getattr__`` has every name
    __getattr__, __dir__ = attributes(globals(), _LATER)

__all__ = [
    "Adapter",
    "AdapterInfo",
    "AdapterUse",
    "After",
    "ArgumentProblem",
    "Backend",
    "BackendCrashedError",
    "BackendDiagnosis",
    "BackendError",
    "BackendNotFoundError",
    "BackendProtocolError",
    "BackendReport",
    "BackendUnavailableError",
    "BusyError",
    "CacheFolder",
    "Capability",
    "ChatChunk",
    "ChatCompletion",
    "ChatMessage",
    "ChatParseError",
    "ChatStream",
    "CheckLimits",
    "CheckOutcome",
    "CheckStage",
    "CheckVerdict",
    "Choice",
    "Chunk",
    "ClosedError",
    "Completion",
    "ContextFullError",
    "ControlVector",
    "ControlVectorUse",
    "CopyError",
    "DecodeError",
    "Device",
    "DeviceMemory",
    "Diagnosis",
    "DiagnosisFinding",
    "DraftModel",
    "Embeddings",
    "EngineParams",
    "FileInfo",
    "ForkedProcessError",
    "Gbnf",
    "GenerationEvent",
    "GenerationFailed",
    "GenerationFinished",
    "GenerationStarted",
    "GrammarError",
    "HeadraceError",
    "IsolationParams",
    "JsonSchema",
    "Lark",
    "Lazy",
    "MemoryEstimate",
    "MemoryUsage",
    "Model",
    "ModelCheck",
    "ModelDownloadError",
    "ModelError",
    "ModelFormatError",
    "ModelInfo",
    "ModelLoadCancelledError",
    "ModelLoadError",
    "ModelMemoryError",
    "ModelNotFoundError",
    "ModelParams",
    "ModelReference",
    "Observation",
    "Observer",
    "ParamsError",
    "PluginReport",
    "PromptLookup",
    "RankedDocument",
    "Ranking",
    "Receipt",
    "Regex",
    "SamplingParams",
    "Score",
    "SelfTest",
    "ServiceError",
    "ServiceUnreachableError",
    "Session",
    "SessionMemory",
    "SessionParams",
    "StateError",
    "StopReason",
    "StreamConsumedError",
    "StreamStatistics",
    "StructuralTag",
    "SystemInfo",
    "Tag",
    "TemplateError",
    "TensorInfo",
    "Timings",
    "TokenLogprob",
    "TokenStream",
    "TokenizeError",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "Trigger",
    "UnsupportedError",
    "Usage",
    "UsageError",
    "__version__",
    "acheck_model",
    "adiagnose",
    "aestimate_memory",
    "afetch_model",
    "aload_model",
    "backends",
    "check_model",
    "devices",
    "diagnose",
    "estimate_memory",
    "fetch_model",
    "inspect_file",
    "load_model",
    "merge_model",
    "observe",
    "quantize_model",
    "split_model",
]
