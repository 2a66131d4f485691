"""What every status of the shim means: exactly one outcome of a step, or one error.

The names are those of ``enum hr_status``; a test fails if one is missing here.
"""

from __future__ import annotations

import enum

import attrs

from headrace.errors import (
    BackendUnavailableError,
    BusyError,
    ChatParseError,
    ClosedError,
    DecodeError,
    ForkedProcessError,
    GrammarError,
    HeadraceError,
    ModelFormatError,
    ModelLoadCancelledError,
    ModelLoadError,
    ModelMemoryError,
    TemplateError,
    TokenizeError,
    UnsupportedError,
)
from headrace.protocols import StepStatus


@attrs.frozen
class _Errors:
    """The classes for failures whose class depends on what was being done."""

    failed: type[HeadraceError]
    out_of_memory: type[HeadraceError]


class Operation(enum.Enum):
    """What was being done when a status came back; the value is for messages."""

    START = "starting llama.cpp"
    LOAD = "loading the model"
    ESTIMATE = "estimating the memory that the model needs"
    MACHINE = "asking about the machine"
    OPEN = "opening a context"
    TEXT = "converting text"
    SAMPLER = "making a sampler"
    STEP = "running a step"
    MEMORY = "changing the context's memory"
    RENDER = "rendering the conversation"
    READ = "reading the model's answer"
    EMBED = "embedding"
    ADAPTERS = "setting adapters"
    FILE = "working on a model file"
    REMOTE = "using another machine"

    @property
    def failed(self) -> type[HeadraceError]:
        """The error for a failure of this kind of operation."""
        return _BY_OPERATION[self].failed

    @property
    def out_of_memory(self) -> type[HeadraceError]:
        """The error for memory that could not be had."""
        return _BY_OPERATION[self].out_of_memory


_BY_OPERATION = {
    Operation.START: _Errors(BackendUnavailableError, BackendUnavailableError),
    # What the guard catches while a file is read comes from what the file says.
    Operation.LOAD: _Errors(ModelFormatError, ModelMemoryError),
    Operation.ESTIMATE: _Errors(ModelLoadError, ModelMemoryError),
    Operation.MACHINE: _Errors(BackendUnavailableError, BackendUnavailableError),
    Operation.OPEN: _Errors(ModelLoadError, ModelMemoryError),
    Operation.TEXT: _Errors(TokenizeError, ModelMemoryError),
    Operation.SAMPLER: _Errors(DecodeError, ModelMemoryError),
    # Where memory runs out in a context, what matters is that the context is lost.
    Operation.STEP: _Errors(DecodeError, DecodeError),
    Operation.MEMORY: _Errors(DecodeError, DecodeError),
    Operation.RENDER: _Errors(TemplateError, ModelMemoryError),
    Operation.READ: _Errors(ChatParseError, ModelMemoryError),
    Operation.EMBED: _Errors(DecodeError, DecodeError),
    Operation.ADAPTERS: _Errors(DecodeError, DecodeError),
    Operation.FILE: _Errors(ModelFormatError, ModelMemoryError),
    Operation.REMOTE: _Errors(ModelLoadError, ModelMemoryError),
}


class Depends(enum.Enum):
    """Errors whose class the operation decides."""

    FAILED = "failed"
    OUT_OF_MEMORY = "out_of_memory"


@attrs.frozen
class Meaning:
    """What a status means."""

    result: StepStatus | type[HeadraceError] | Depends
    """An outcome of a step, or the error to raise (in a step: to report with ``FAILED``)."""
    message: str
    """Said in an error; the native words follow."""

    def error_class(self, operation: Operation) -> type[HeadraceError]:
        """The class of the error that the status ends an operation with."""
        if isinstance(self.result, Depends):
            failed = self.result is Depends.FAILED
            return operation.failed if failed else operation.out_of_memory
        # A step's outcome that came out of something else than a step.
        return operation.failed if isinstance(self.result, StepStatus) else self.result


MEANINGS: dict[str, Meaning] = {
    "HR_OK": Meaning(StepStatus.DONE, "it went well"),
    "HR_NO_ROOM": Meaning(StepStatus.NO_ROOM, "there is no room in the context's memory"),
    "HR_INTERRUPTED": Meaning(StepStatus.INTERRUPTED, "it was interrupted"),
    "HR_BAD_BATCH": Meaning(DecodeError, "llama.cpp refused the batch"),
    "HR_ALLOC_FAILED": Meaning(DecodeError, "llama.cpp could not prepare the computation"),
    "HR_COMPUTE_FAILED": Meaning(DecodeError, "the computation failed"),
    "HR_UNKNOWN_CODE": Meaning(DecodeError, "llama.cpp returned a code that it does not document"),
    "HR_EXCEPTION": Meaning(Depends.FAILED, "llama.cpp threw an exception"),
    "HR_OUT_OF_MEMORY": Meaning(Depends.OUT_OF_MEMORY, "there is not enough memory"),
    "HR_NATIVE_ABORT": Meaning(Depends.FAILED, "an assertion in llama.cpp failed"),
    "HR_FOREIGN_EXCEPTION": Meaning(Depends.FAILED, "llama.cpp threw something unknown"),
    "HR_BAD_ARGUMENT": Meaning(Depends.FAILED, "the arguments cannot be passed on to llama.cpp"),
    "HR_CLOSED": Meaning(ClosedError, "the model was closed"),
    "HR_FORKED": Meaning(ForkedProcessError, "the model was loaded in a parent process"),
    "HR_BUSY": Meaning(BusyError, "another thread is using the context"),
    "HR_POISONED": Meaning(DecodeError, "an earlier failure left the context unusable"),
    "HR_LOAD_FAILED": Meaning(ModelLoadError, "llama.cpp refused the model"),
    "HR_LOAD_CANCELLED": Meaning(ModelLoadCancelledError, "the load was cancelled"),
    "HR_CONTEXT_FAILED": Meaning(ModelLoadError, "llama.cpp refused to make a context"),
    "HR_NO_MEMORY_MODULE": Meaning(UnsupportedError, "the model cannot generate text"),
    "HR_NO_DEVICES": Meaning(BackendUnavailableError, "llama.cpp found no device to compute on"),
    "HR_FILE_REFUSED": Meaning(ModelFormatError, "llama.cpp refused the file"),
    "HR_FILE_NOT_WRITTEN": Meaning(ModelLoadError, "the file could not be written"),
    "HR_QUANTIZE_FAILED": Meaning(ModelFormatError, "llama.cpp could not quantize the model"),
    "HR_BUFFER_TOO_SMALL": Meaning(TokenizeError, "the result does not fit where it should"),
    "HR_TOKEN_OVERFLOW": Meaning(TokenizeError, "the text has too many tokens"),
    "HR_NO_LOGITS": Meaning(DecodeError, "the step left nothing to sample from"),
    "HR_NO_CANDIDATE": Meaning(DecodeError, "no token is left to choose from"),
    "HR_NO_END_TOKEN": Meaning(
        UnsupportedError, "the infill sampler needs a vocabulary with a token that ends a text"
    ),
    "HR_DEAD_END": Meaning(
        GrammarError,
        "the grammar allows no token that could come next; what was generated before is kept",
    ),
    "HR_NO_VECTOR": Meaning(DecodeError, "llama.cpp left no vector for a text"),
    "HR_NO_ESTIMATE": Meaning(UnsupportedError, "this llama.cpp tells no memory needs"),
    "HR_NO_RPC": Meaning(UnsupportedError, "this llama.cpp was built without GGML_RPC"),
    "HR_RPC_NO_DEVICES": Meaning(ModelLoadError, "the server has no device"),
    "HR_RPC_ENDED": Meaning(BackendUnavailableError, "the server ended"),
    "HR_ADAPTER_FORMAT": Meaning(ModelFormatError, "the file is of another kind, or damaged"),
    "HR_ADAPTER_MISMATCH": Meaning(ModelLoadError, "the file was made for another model"),
    "HR_ADAPTER_FAILED": Meaning(ModelFormatError, "llama.cpp refused the file"),
    "HR_ADAPTER_REFUSED": Meaning(DecodeError, "the context does not take the control vector"),
    "HR_STATE_FAILED": Meaning(DecodeError, "the memory could not be written down"),
    "HR_NO_COMMON": Meaning(
        UnsupportedError, "the binding was compiled without llama.cpp's template engine"
    ),
    "HR_NO_TEMPLATE": Meaning(TemplateError, "the model has no chat template"),
    "HR_CHAT_TOO_LONG": Meaning(TemplateError, "it is too long"),
    "HR_BAD_TEMPLATE": Meaning(TemplateError, "the chat template cannot be parsed"),
    "HR_RENDER_FAILED": Meaning(TemplateError, "the chat template cannot render this conversation"),
    "HR_OVER_BOUNDS": Meaning(Depends.FAILED, "it is over a bound"),
    "HR_BAD_OUTPUT": Meaning(ChatParseError, "it is not in the chat template's format"),
}
