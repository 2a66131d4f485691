"""What travels between the processes: everything comes back, and garbage is refused."""

from __future__ import annotations

import contextlib
import enum
import typing

import attrs
import hypothesis.strategies as st
import msgpack
import pytest
from hypothesis import given

import headrace
from headrace import (
    AdapterInfo,
    AdapterUse,
    Capability,
    ChatMessage,
    CheckStage,
    ControlVectorUse,
    DraftModel,
    EngineParams,
    Gbnf,
    Lazy,
    MemoryUsage,
    ModelInfo,
    ModelParams,
    ParamsError,
    Ranking,
    SamplingParams,
    Score,
    SessionMemory,
    SessionParams,
    StopReason,
    SystemInfo,
    TokenLogprob,
)
from headrace.grammar import Grammar
from headrace.requests.chat import ChatRequest
from headrace.requests.generation import GenerateRequest
from headrace.requests.infill import InfillRequest
from headrace.requests.score import ScoreRequest
from headrace.requests.vectors import EmbedRequest, RankRequest
from headrace.streams.generation import GenerationReport
from headrace_subprocess import codec

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
    | st.text() | st.binary(),
    lambda inner: st.lists(inner)
    | st.lists(inner).map(tuple)
    | st.dictionaries(st.text() | st.integers(0, 9), inner),
    max_leaves=20,
)  # fmt: skip
NAMES = st.sampled_from([*codec._CLASSES, *codec._ERRORS, "nothing"])
TAGS = st.sampled_from([*codec._DECODERS, "none such"])
HOSTILE = st.recursive(
    PLAIN,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "!": TAGS | inner,
            "of": NAMES | inner,
            "is": inner | st.dictionaries(st.sampled_from(["text", "role", "seed"]), inner),
            "with": inner | st.dictionaries(st.sampled_from(["hint", "poisoned"]), inner),
        },
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_come_back(value):
    """Of the same kinds."""
    assert codec.unpack(codec.pack(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        SamplingParams(temperature=0.5, seed=3, grammar=headrace.Choice(("a", "b"))),
        headrace.StopReason.EOG,
        headrace.ChatMessage(role="user", content="hi"),
        frozenset({headrace.Capability.CHAT}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_classes_of_headrace_come_back(value):
    """By their own constructors."""
    assert codec.unpack(codec.pack(value)) == value


@pytest.mark.parametrize(
    "error",
    [
        headrace.DecodeError(
            "broken", hint="Do.", backend="fake", native_code=3, native_log=("a",), poisoned=True
        ),
        headrace.GrammarError("wrong", line=2, column=7, path="#/a"),
        headrace.ChatParseError("no message", text="<tool_call>"),
        headrace.ClosedError("closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_come_back_with_all_they_say(error):
    """Class, message and attributes."""
    found = codec.unpack(codec.pack(error))
    assert type(found) is type(error)
    assert vars(found) == vars(error)


@given(st.binary())
def test_garbage_is_a_value_error(data):
    """And never anything else; what happens to be a value is one."""
    with contextlib.suppress(ValueError):
        codec.unpack(data)


@given(HOSTILE)
def test_values_that_are_none_are_value_errors(value):
    """Tags, classes and fields put together at random."""
    with contextlib.suppress(OverflowError):  # larger than any message has numbers
        data = msgpack.packb(value, unicode_errors="surrogatepass")
        with contextlib.suppress(ValueError):
            codec.unpack(data)


ASKED = (
    ModelParams, EngineParams, SessionParams, StopReason, GenerateRequest, ChatRequest,
    InfillRequest, ScoreRequest, EmbedRequest, RankRequest,
)  # fmt: skip
ANSWERED = (
    ModelInfo, Capability, SamplingParams, SystemInfo, MemoryUsage, SessionMemory, AdapterInfo,
    GenerationReport, TokenLogprob, Gbnf, Lazy, Score, Ranking, ChatMessage, CheckStage,
)  # fmt: skip
"""What the requests of the child's server take, and what is sent for them, besides plain values."""
ANNOTATED = {name: getattr(headrace, name) for name in headrace.__all__} | {"Grammar": Grammar}
"""What annotations name that their modules import for types alone."""
HANDLES = {AdapterUse, ControlVectorUse, DraftModel}
"""They hold what stays in its process: the first two go by number, the last is refused."""


def inside(kind, seen):
    """The frozen classes and enumerations that a type is made of, itself included."""
    if isinstance(kind, type) and (attrs.has(kind) or issubclass(kind, enum.Enum)):
        if kind not in seen | HANDLES:
            seen.add(kind)
            if attrs.has(kind):
                hints = typing.get_type_hints(kind, localns=ANNOTATED)
                for field in attrs.fields(kind):
                    if field.init:
                        inside(hints[field.name], seen)
    else:
        for each in typing.get_args(kind):
            inside(each, seen)
    return seen


def test_what_may_cross_is_what_requests_and_answers_need():
    """Each class of a field, too, and nothing beside them."""
    needed = set()
    for kind in (*ASKED, *ANSWERED):
        inside(kind, needed)
    assert set(codec._CLASSES.values()) == needed


@pytest.mark.parametrize(
    "value",
    [
        headrace.CheckLimits(),
        headrace.ModelReference("x"),
        headrace.Chunk("a"),
        headrace.CheckVerdict.FIT,
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_of_headrace_do_not_cross(value):
    """Nobody asks for them there: neither way."""
    with pytest.raises(ParamsError, match="cannot be sent to another process"):
        codec.pack([value])
    kind = "enum" if isinstance(value, enum.Enum) else "attrs"
    with pytest.raises(ValueError, match="not a value"):
        codec.unpack(msgpack.packb({"!": kind, "of": type(value).__name__, "is": {}}))


def test_nothing_but_values_is_made():
    """A class that is no value of headrace's cannot be named."""
    for name in ("Popen", "TokenStream", "Adapter", "str"):
        with pytest.raises(ValueError, match="not a value"):
            codec.unpack(msgpack.packb({"!": "attrs", "of": name, "is": {}}))


@pytest.mark.parametrize(
    "value",
    [object(), lambda: 0, open, 2**70],
    ids=["an object", "a function", "a builtin", "a number"],
)
def test_what_cannot_travel_is_refused(value):
    """As the wrong argument that it is."""
    with pytest.raises(ParamsError, match="cannot be sent to another process"):
        codec.pack([value])


def test_what_was_given_crosses():
    """And nothing more: all fields are sent."""
    params = SamplingParams(top_k=3, temperature=0.8)
    assert codec.unpack(codec.pack(params)).given == {"top_k", "temperature"}


def test_what_a_service_said_crosses():
    """Its status, and when to ask again."""
    error = codec.unpack(codec.pack(headrace.ServiceError("no", status=503, retry_after=2.0)))
    assert (error.status, error.retry_after, error.retryable) == (503, 2.0, True)
    assert codec.unpack(codec.pack(headrace.ServiceUnreachableError("no"))).retryable
