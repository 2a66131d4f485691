"""headrace brings tokens from an inference engine to a Python program, under control.

::

    import headrace

    with headrace.load_model("model.gguf") as model, model.open_session() as session:
        for chunk in session.generate("The capital of France is", max_tokens=48):
            print(chunk.text, end="", flush=True)

Everything a caller needs is re-exported here; backends are plugins, found when
a model is loaded.
"""

from headrace.adapters import Adapter, AdapterInfo, ControlVector
from headrace.chat.stream import ChatStream
from headrace.chat.types import (
    ChatChunk,
    ChatCompletion,
    ChatMessage,
    Tool,
    ToolCall,
    ToolCallDelta,
)
from headrace.checking import acheck_model, check_model
from headrace.checks import CheckLimits, CheckStage, ModelCheck, Outcome, Verdict
from headrace.diagnosing import adiagnose, diagnose
from headrace.diagnosis import (
    BackendDiagnosis,
    BackendReport,
    CacheFolder,
    Diagnosis,
    Finding,
    PluginReport,
    SelfTest,
)
from headrace.embeddings import Embeddings, RankedDocument, Ranking
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
    StateError,
    StreamConsumedError,
    TemplateError,
    TokenizeError,
    UnsupportedError,
    UsageError,
)
from headrace.files import inspect_file, merge_model, quantize_model, split_model
from headrace.grammar import Choice, Gbnf, JsonSchema, Lazy, Regex, Trigger
from headrace.inspection import aestimate_memory, devices, estimate_memory
from headrace.loading import aload_model, backends, load_model
from headrace.machine import (
    Device,
    DeviceMemory,
    MemoryEstimate,
    MemoryUsage,
    SessionMemory,
    SystemInfo,
)
from headrace.observing import (
    GenerationEvent,
    GenerationFailed,
    GenerationFinished,
    GenerationStarted,
    Observation,
    Observer,
    observe,
)
from headrace.params import (
    AdapterUse,
    ControlVectorUse,
    EngineParams,
    IsolationParams,
    ModelParams,
    SamplingParams,
    SessionParams,
)
from headrace.protocols.files import FileInfo, TensorInfo
from headrace.protocols.waist import Backend, Model, Session
from headrace.references import afetch_model, fetch_model
from headrace.reloading import ModelReference
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
from headrace.scores import Score
from headrace.speculation import DraftModel, PromptLookup
from headrace.stream import TokenStream

__version__ = "0.1.0"

__all__ = [
    "Adapter",
    "AdapterInfo",
    "AdapterUse",
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
    "CheckStage",
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
    "DraftModel",
    "Embeddings",
    "EngineParams",
    "FileInfo",
    "Finding",
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
    "Outcome",
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
    "Session",
    "SessionMemory",
    "SessionParams",
    "StateError",
    "StopReason",
    "StreamConsumedError",
    "StreamStatistics",
    "SystemInfo",
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
    "Verdict",
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
