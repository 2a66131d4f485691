"""Values and errors as bytes and back.

Not pickle: what comes out of the child may have been made by a model file that took
it over, and unpickling runs whatever it says. Only plain values, the frozen
classes in a list and headrace's errors are known here, and they are made by their own
constructors, which check them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import msgpack

from headrace import errors
from headrace.adapters import AdapterInfo
from headrace.common.seam import interrupts, is_callers
from headrace.errors import BackendError, HeadraceError, ParamsError
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
from headrace.params import (
    EngineParams,
    IsolationParams,
    ModelParams,
    SamplingParams,
    SessionParams,
)
from headrace.params.speculation import PromptLookup
from headrace.requests.chat import ChatRequest
from headrace.requests.generation import GenerateRequest
from headrace.requests.infill import InfillRequest
from headrace.requests.score import ScoreRequest
from headrace.requests.vectors import EmbedRequest, RankRequest
from headrace.results import (
    Capability,
    ModelInfo,
    Receipt,
    StopReason,
    Timings,
    TokenLogprob,
    Usage,
)
from headrace.results.chat import ArgumentProblem, ChatMessage, Tool, ToolCall
from headrace.results.check import CheckOutcome, CheckStage
from headrace.results.machine import DeviceMemory, MemoryUsage, SessionMemory, SystemInfo
from headrace.results.score import Score
from headrace.results.vectors import RankedDocument, Ranking
from headrace.streams.generation import GenerationReport

_TAG = "!"
_ASKED: tuple[type, ...] = (
    ModelParams, EngineParams, IsolationParams, SessionParams, PromptLookup, SamplingParams,
    After, Choice, Gbnf, JsonSchema, Lark, Lazy, Regex, StructuralTag, Tag, Trigger,
    GenerateRequest, ChatRequest, InfillRequest, ScoreRequest, EmbedRequest, RankRequest,
    ChatMessage, Tool, ToolCall, ArgumentProblem, StopReason,
)  # fmt: skip
_ANSWERED: tuple[type, ...] = (
    ModelInfo, Capability, SystemInfo, MemoryUsage, SessionMemory, DeviceMemory, AdapterInfo,
    GenerationReport, Usage, Timings, Receipt, TokenLogprob,
    Score, Ranking, RankedDocument, CheckStage, CheckOutcome,
)  # fmt: skip
_CLASSES = {each.__name__: each for each in (*_ASKED, *_ANSWERED)}
"""All that may cross; what holds a handle, such as an adapter that is used, goes by a number."""
_ERRORS: dict[str, type[HeadraceError]] = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, HeadraceError)
}
# What an error of each class knows besides its message.
_FIELDS = {name: sorted({*vars(kind(""))} - {"message"}) for name, kind in _ERRORS.items()}


def pack(value: Any) -> bytes:
    """A value as bytes.

    Raises:
        ParamsError: If it holds something that cannot be sent.
    """
    try:
        # A lone surrogate is no UTF-8, but a path may have one.
        data: bytes = msgpack.packb(_plain(value), unicode_errors="surrogatepass")
    except (OverflowError, TypeError, ValueError, RecursionError) as error:
        if interrupts(error):
            raise
        reason = _too_wide(_plain(value)) if isinstance(error, OverflowError) else error
        raise ParamsError(f"an argument cannot be sent to another process: {reason}") from error
    return data


def _too_wide(value: Any) -> str:
    """Names the number in a plain value that no message can hold."""
    inside = value.values() if isinstance(value, dict) else value
    if isinstance(inside, int) and not -(2**63) <= inside < 2**64:
        return f"{inside} has more than 64 bits"
    if isinstance(inside, (str, bytes)) or not isinstance(inside, Iterable):
        return ""
    return next(filter(None, map(_too_wide, inside)), "")


def too_large(size: int) -> ParamsError:
    """The error for a value that no message has room for."""
    return ParamsError(f"an argument of {size} bytes is too large for another process")


def unpack(data: bytes | bytearray) -> Any:
    """The value again.

    Raises:
        ValueError: If the bytes are not those of a value.
    """
    try:
        return _rich(msgpack.unpackb(data, strict_map_key=False, unicode_errors="surrogatepass"))
    except Exception as error:  # whatever a constructor makes of a wrong value
        if is_callers(error):
            raise
        raise ValueError(f"not a value: {error!r}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum) and _may_cross(value):
        return {_TAG: "enum", "of": type(value).__name__, "is": value.value}
    plain = isinstance(value, (bool, int, float, bytes, str)) and not isinstance(value, enum.Enum)
    if value is None or plain:
        return value
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, tuple):
        return {_TAG: "tuple", "is": [_plain(each) for each in value]}
    if isinstance(value, (set, frozenset)):
        return {_TAG: "set", "is": [_plain(each) for each in value]}
    if isinstance(value, Mapping):
        return {_TAG: "dict", "is": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, BaseException):
        return _plain_error(value)
    if attrs.has(type(value)) and _may_cross(value):
        fields = {
            field.name: _plain(getattr(value, field.name))
            for field in attrs.fields(type(value))
            if field.init
        }
        return {_TAG: "attrs", "of": type(value).__name__, "is": fields}
    raise TypeError(f"a {type(value).__name__} is neither a plain value nor one of headrace's own")


def _may_cross(value: object) -> bool:
    return _CLASSES.get(type(value).__name__) is type(value)


def _plain_error(error: BaseException) -> dict[str, Any]:
    if not isinstance(error, HeadraceError):
        return {_TAG: "error", "of": "", "is": f"{type(error).__name__}: {error}"}
    kind = _known_class(error)
    fields = {name: _plain(getattr(error, name)) for name in _FIELDS[kind]}
    return {_TAG: "error", "of": kind, "is": error.message, "with": fields}


def _known_class(error: HeadraceError) -> str:
    """The name of its class, or of the nearest one that is headrace's own."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return [_rich(each) for each in value]
    if not isinstance(value, dict):
        return value
    return _DECODERS[value[_TAG]](value)


def _rich_attrs(value: dict[str, Any]) -> Any:
    kind = _CLASSES[value["of"]]
    fields = {name.lstrip("_"): _rich(each) for name, each in value["is"].items()}
    return kind(**fields)


def _rich_error(value: dict[str, Any]) -> HeadraceError:
    kind = _ERRORS.get(value["of"])
    if kind is None:
        return BackendError(f"the backend failed in its process with {value['is']}")
    fields = {name: _rich(each) for name, each in value["with"].items()}
    return kind(str(value["is"]), **fields)


_DECODERS: dict[str, Any] = {
    "tuple": lambda value: tuple(_rich(each) for each in value["is"]),
    "set": lambda value: frozenset(_rich(each) for each in value["is"]),
    "dict": lambda value: {_rich(k): _rich(v) for k, v in value["is"]},
    "enum": lambda value: _CLASSES[value["of"]](value["is"]),
    "attrs": _rich_attrs,
    "error": _rich_error,
}
