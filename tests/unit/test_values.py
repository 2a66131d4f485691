"""Values travel: every public frozen class comes out of a pickle and a deep copy as it went in."""

from __future__ import annotations

import copy
import itertools
import pickle
from pathlib import Path

import attrs
import pytest

import headrace
from headrace import (
    AdapterInfo,
    ChatMessage,
    CheckOutcome,
    CheckStage,
    CheckVerdict,
    Choice,
    Completion,
    Gbnf,
    GenerationFinished,
    JsonSchema,
    ModelParams,
    ModelReference,
    Receipt,
    Regex,
    SamplingParams,
    SessionParams,
    StopReason,
    Timings,
    Tool,
    ToolCall,
    Trigger,
    Usage,
)
from headrace.backend import backend
from headrace.grammar.gbnf import MAX_NESTING
from headrace.streams import generation

WITH_HANDLES = {
    *("AdapterUse", "ControlVectorUse", "DraftModel"),
    *("Begun", "BegunChat", "RenderedChat"),
}
"""Those that name a handle; ``test_copying`` has them."""
CLASSES = {
    each.__name__: each
    for module in (headrace, backend, generation)
    for each in vars(module).values()
    if isinstance(each, type) and attrs.has(each) and each.__name__ not in WITH_HANDLES
}
MADE = {
    "Choice": lambda: Choice(("a", "b")),
    "Gbnf": lambda: Gbnf('root ::= "a"'),
    "JsonSchema": lambda: JsonSchema({"type": "object", "properties": {"a": {"type": "integer"}}}),
    "After": lambda: headrace.After("</think>", Regex("a+")),
    "Lark": lambda: headrace.Lark('start: "a"'),
    "StructuralTag": lambda: headrace.StructuralTag(
        [headrace.Tag(begin="<", content=Regex("a+"), end=">")]
    ),
    "Tag": lambda: headrace.Tag(begin="<", content=Choice(("a", "b")), end=">"),
    "Lazy": lambda: headrace.Lazy(Regex("a+"), (Trigger(word="<"),)),
    "Regex": lambda: Regex("[0-9]+"),
    "Trigger": lambda: Trigger(word="<"),
    "ChatMessage": lambda: ChatMessage(
        role="assistant", content="x", tool_calls=(ToolCall(name="f", arguments='{"a": 1}'),)
    ),
    "Tool": lambda: Tool(name="f", parameters={"type": "object"}),
    "SamplingParams": lambda: SamplingParams(
        temperature=0.5, seed=3, grammar=Regex("a+"), logit_bias={3: -1.0}
    ),
    "ModelParams": lambda: ModelParams(
        isolation="process", kv_overrides={"a.b": 1}, tensor_devices={"ffn": "CPU"}
    ),
    "SessionParams": lambda: SessionParams(speculate=headrace.PromptLookup(ngram=4)),
    "ModelReference": lambda: ModelReference(
        "a.gguf", backend="x", params=ModelParams(vocab_only=True)
    ),
    "AdapterInfo": lambda: AdapterInfo(name="x", path="y", metadata={"a": [1, 2]}),
    "Embeddings": lambda: _of_model(lambda model: model.embed(["a", "b"])),
    "Diagnosis": headrace.diagnose,
}
ROLES = {"role": "user", "severity": "problem", "kind": "cpu"}
PLAIN = {
    "str": "x",
    "str | None": "x",
    "int": 1,
    "int | None": 1,
    "float": 0.5,
    "bool": True,
    "bytes": b"\xff",
    "Any": [0.5],
    "Path": Path("/x"),
    "CheckOutcome": CheckOutcome.FAILED,
    "CheckVerdict": CheckVerdict.UNUSABLE,
    "StopReason": StopReason.EOG,
    "tuple[int, ...]": (1, 2),
    "tuple[bytes, ...]": (b"a",),
    "tuple[float | None, ...]": (None, -0.5),
    "tuple[str, ...]": ("x",),
    "dict[str, Any]": {"a": [1]},
    "Mapping[str, str]": {"a": "b"},
}


def _of_model(call):
    with headrace.load_model("fake:#mean_length=0") as model:
        return call(model)


def _value(kind: str, name: str):
    if name in ROLES and kind == "str":
        return ROLES[name]
    if kind in PLAIN:
        return PLAIN[kind]
    if kind.startswith("tuple[") and kind.endswith(", ...]"):
        return (sample(kind[6:-6]),)
    return sample(kind.removesuffix(" | None"))


def sample(name: str):
    """A value of a class, with all that it cannot be without."""
    if name in MADE:
        return MADE[name]()
    kind = CLASSES[name]
    needed = (field for field in attrs.fields(kind) if field.default is attrs.NOTHING)
    values = {field.alias: _value(str(field.type), field.name) for field in needed}
    return kind(**values)


def same(one: object, other: object) -> bool:
    """Equal, also where a class compares by identity."""
    return type(one) is type(other) and _fields(one) == _fields(other)


def _fields(value: object) -> dict[str, object]:
    compared = (each.name for each in attrs.fields(type(value)) if each.eq)
    return {name: getattr(value, name) for name in compared}


@pytest.mark.parametrize("name", CLASSES)
def test_a_value_comes_back_the_same(name):
    """Of every pickle protocol, of a copy and of a deep copy."""
    value = sample(name)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert same(pickle.loads(pickle.dumps(value, protocol)), value)
    assert same(copy.copy(value), value)
    assert same(copy.deepcopy(value), value)


def test_what_a_model_gives_comes_back_the_same():
    """Numbers, texts, receipts and chunks as they really are."""

    def given(model):
        sampling = SamplingParams(logprobs=2, seed=3)
        session = model.open_session()
        stream = session.generate("x", max_tokens=4, sampling=sampling)
        chunks = list(itertools.chain(stream))
        chat = model.open_session().chat([{"role": "user", "content": "x"}], max_tokens=3)
        chat_chunks = list(chat)
        return [
            *chunks,
            stream.result,
            stream.statistics(),
            *chat_chunks,
            chat.result,
            session.score("y", top=1),
            session.memory_usage(),
            model.info,
            model.capabilities,
            model.memory_usage(),
            model.system_info(),
            model.recommended_sampling(),
            model.rerank("a", ["b", "c"]),
            model.render_chat([{"role": "user", "content": "x"}]).prompt,
            model.reference,
        ]

    for value in _of_model(given):
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.deepcopy(value) == value


def test_a_grammar_that_nests_as_deep_as_it_may_comes_back():
    """Deeper than a copy of its tree could follow."""
    grammar = Gbnf("root ::= " + '("x" | ' * MAX_NESTING + '"a"' + ")" * MAX_NESTING)
    assert copy.deepcopy(grammar) == grammar
    assert list(pickle.loads(pickle.dumps(grammar)).rules) == ["root"]


def test_the_samples_are_no_defaults():
    """A class of which nothing is set would hide what is lost."""
    assert sample("Completion") == Completion(
        text="x",
        tokens=(1, 2),
        stop_reason=StopReason.EOG,
        usage=Usage(),
        timings=Timings(),
        receipt=Receipt("x", "x", 1, True, "x"),
    )
    assert isinstance(sample("GenerationFinished"), GenerationFinished)
    assert isinstance(sample("CheckStage"), CheckStage)
