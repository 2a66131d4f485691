"""Schemas that llama.cpp's converter stumbles over: in tools, and as a response format."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

import headrace
from headrace import EngineParams, ModelParams, SamplingParams, TemplateError, UnsupportedError
from headrace.grammar import Gbnf, JsonSchema, Lark
from headrace_llamacpp.schemas import simplified
from tests.integration.test_chat_templates import NO_TOOLS
from tests.support import chat_templates, tiny_gguf
from tests.support.subprocesses import run_script

HI = [{"role": "user", "content": "Hi"}]
NAMES = chat_templates.names()
PLAIN = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}


def of(**properties):
    """An object's schema."""
    return {"type": "object", "properties": properties, "required": list(properties)[:1]}


def response_format(schema):
    """As OpenAI's API has it."""
    return {"type": "json_schema", "json_schema": {"schema": schema}}


LONG = of(a={"type": "string", "maxLength": 10_000})
MANY = of(a={"type": "array", "items": {"type": "string"}, "maxItems": 5000})
HARD = {
    "long": LONG,
    "many": MANY,
    "within each other": of(
        a={
            "type": "array",
            "maxItems": 900,
            "items": {"type": "array", "maxItems": 900, "items": {"type": "integer"}},
        }
    ),
    "64 bits": of(a={"type": "integer", "minimum": -(2**63) - 1, "maximum": 2**63}),
    "patterns": of(
        a={"type": "string", "pattern": r"^\d{3}-\w+$"},
        b={"type": "string", "pattern": "(?=x)y"},
        c={"type": "string", "pattern": "("},
    ),
    "contradiction": of(a={"type": "integer", "minimum": 3, "maximum": 2}),
    "parts": of(a={"type": "string", "allOf": [{"minLength": 1}, {"maxLength": 3}]}),
    "anything": {},
}


@pytest.fixture(scope="module")
def model():
    """A vocabulary is all that rendering needs."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        yield model


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_TOOLS])
def test_a_tool_with_large_bounds_fails_no_chat(model, name):
    """Its grammar is made without them; the model sees them."""
    source = chat_templates.source(name)
    tools = [{"name": "f", "parameters": LONG}, {"name": "g", "parameters": PLAIN}]
    rendered = model.render_chat(HI, tools=tools, template=source)
    small = model.render_chat(
        HI, tools=[{"name": "f", "parameters": PLAIN}, tools[1]], template=source
    )
    assert type(rendered.grammar) is type(small.grammar)


SOME = (
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen3-Coder",
    "google-gemma-4-31B-it",
    "meta-llama-Llama-3.1-8B-Instruct",
    "mistralai-Mistral-Nemo-Instruct-2407",
    "openai-gpt-oss-120b",
    "deepseek-ai-DeepSeek-V3.2",
    "Kimi-K2-Instruct",
)


@pytest.mark.parametrize("hard", HARD)
@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize("name", SOME)
def test_a_schema_that_llama_cpp_cannot_convert_fails_no_chat(model, name, choice, hard):
    """What the grammar leaves out is checked when a call is finished."""
    tools = [{"name": "f", "parameters": HARD[hard]}]
    source = chat_templates.source(name)
    asked = {"tool_choice": choice, "template": source}
    rendered = model.render_chat(HI, tools=tools, **asked)
    simple = model.render_chat(HI, tools=[{"name": "f", "parameters": PLAIN}], **asked)
    assert type(rendered.grammar) is type(simple.grammar)
    assert choice == "auto" or isinstance(rendered.grammar, Gbnf)


def test_the_model_sees_the_schema_as_it_was_given(model):
    """What is left out of the grammar is in the prompt."""
    source = chat_templates.source("Qwen-Qwen2.5-7B-Instruct")
    tools = [{"name": "f", "parameters": HARD["patterns"] | LONG["properties"]}]
    prompt = model.render_chat(HI, tools=tools, template=source).prompt
    assert "(?=x)y" in prompt
    assert "10000" in prompt


def test_a_template_that_cannot_show_a_tool_names_it(model):
    """Some want a type everywhere, for example."""
    tools = [{"name": "f", "parameters": PLAIN}, {"name": "g", "parameters": of(a={})}]
    source = (
        "{{ messages[0].content }}{% for tool in tools or [] %}{{ tool.function.name }}"
        "{% if tool.function.name == 'g' %}{{ raise_exception('no') }}{% endif %}{% endfor %}"
    )
    with pytest.raises(TemplateError, match=r"(?s)cannot show the tool 'g'.*tools_in_prompt"):
        model.render_chat(HI, tools=tools, template=source)
    refusing = "{{ raise_exception('never') }}"
    with pytest.raises(TemplateError, match="never") as caught:
        model.render_chat(HI, tools=tools, template=refusing)
    assert "cannot show" not in caught.value.message


@pytest.mark.parametrize("name", NAMES)
def test_a_response_format_has_a_grammar(model, name):
    """Also one with large bounds."""
    source = chat_templates.source(name)
    rendered = model.render_chat(HI, response_format=response_format(MANY), template=source)
    assert isinstance(rendered.grammar, JsonSchema | Lark)
    assert "5000" in rendered.grammar.source


def test_an_answer_that_is_nothing_but_text_has_a_grammar_of_headraces(model):
    """Independent of llama.cpp's converter."""
    source = chat_templates.source("Qwen-Qwen2.5-7B-Instruct")
    schema = of(a={"type": "string", "pattern": r"^\d+$"})
    asked = {"response_format": response_format(schema), "template": source}
    rendered = model.render_chat(HI, **asked)
    assert rendered.grammar == JsonSchema(schema)
    shown = model.render_chat(
        HI, tools=[{"name": "f", "parameters": PLAIN}], tool_choice="none", **asked
    )
    assert shown.grammar == JsonSchema(schema)


@pytest.mark.parametrize("name", NAMES)
def test_tools_beside_a_response_format_are_refused(model, name):
    """With what to leave out; formats have room for one of them."""
    with pytest.raises(UnsupportedError, match="Leave out one of them"):
        model.render_chat(
            HI,
            tools=[{"name": "f", "parameters": PLAIN}],
            response_format=response_format(PLAIN),
            template=chat_templates.source(name),
        )


def test_a_pattern_is_kept_to():
    """By random weights, in a format of which it is a part."""
    engine = EngineParams(n_ctx=4096, n_threads=1)
    with (
        headrace.load_model(tiny_gguf.path("attention"), engine=engine) as model,
        model.open_session() as session,
    ):
        done = session.complete_chat(
            HI,
            template=chat_templates.source("Qwen-Qwen2.5-7B-Instruct"),
            response_format=response_format(
                of(a={"type": "string", "pattern": r"^\d{3}$"}) | {"additionalProperties": False}
            ),
            sampling=SamplingParams(seed=1),
            max_tokens=100,
        )
    found = json.loads(done.message.content)
    assert len(found["a"]) == 3
    assert found["a"].isdigit()


SAME = [
    PLAIN,
    of(a={"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "A"}),
    {"type": "object", "properties": {"c": {"$ref": "#/$defs/C"}}, "$defs": {"C": {"enum": [1]}}},
    of(a={"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 5}),
]


@pytest.mark.parametrize("schema", SAME, ids=str)
def test_what_is_simple_stays_as_it_is(schema):
    """So that nothing is rendered twice."""
    assert simplified(schema, 1000) == schema


WIDER = [
    (LONG, {"a": "x" * 9000}),
    (MANY, {"a": ["x"] * 4000}),
    (HARD["64 bits"], {"a": 2**63}),
    (HARD["patterns"], {"a": "123-x", "b": "q"}),
    (HARD["parts"], {"a": "ab"}),
    (of(a=True), {"a": [1]}),
    (of(a={"allOf": [{"type": "string"}]}), {"a": "b"}),
    (of(a={"allOf": [{"type": "string"}, {"minLength": 1}]}), {"a": "b"}),
    (of(a={"type": "array", "prefixItems": [{}, {}], "items": False}), {"a": [1, 2]}),
    ({"properties": {"a": {"$ref": "#/$defs/a~1b"}}, "$defs": {"a/b": {}}}, {"a": 1}),
    ({"properties": {"a": {"$ref": "#"}}}, {"a": {"a": {}}}),
    (of(a={"type": ["string", "null"], "maxLength": 9999}), {"a": None}),
    (of(a={"type": "integer", "minimum": 0.5, "maximum": 1e300}), {"a": 1}),
    (of(a={"type": "string", "pattern": r"^a|b$"}), {"a": "axx"}),
    (of(a={"type": "string", "pattern": r"^[\w.-]+@[a-z]{2,}$"}), {"a": "a-b.c@xy"}),
    (of(a={"type": "string", "pattern": r"^(?:\+|\-)?[\d]{1,3}(,\d)*$"}), {"a": "-12,3"}),
]


@pytest.mark.parametrize(("schema", "instance"), WIDER, ids=lambda each: str(each)[:40])
@pytest.mark.parametrize("limit", [1000, 0])
def test_what_is_simplified_takes_what_was_taken(schema, instance, limit):
    """And more; it never becomes narrower."""
    Draft202012Validator(simplified(schema, limit)).validate(instance)


def test_what_nests_without_end_is_cut():
    """No grammar follows it."""
    schema: dict = {"type": "string"}
    for _ in range(200):
        schema = of(a=schema)
    found, depth = simplified(schema, 1000), 0
    while found:
        found, depth = found["properties"]["a"], depth + 1
    assert depth < 100


def test_nothing_is_printed_about_patterns():
    """llama.cpp's converter warns of what it does not know, on the process's own stderr."""
    ended = run_script(
        """
        import headrace
        from tests.support import chat_templates, tiny_gguf
        a = {"type": "string", "pattern": "^\\\\d+(?=x)$"}
        b = {"type": "string", "pattern": "^\\\\d+$"}
        schema = {"type": "object", "properties": {"a": a, "b": b}}
        wanted = {"type": "json_schema", "json_schema": {"schema": {"properties": {"b": b}}}}
        hi = [{"role": "user", "content": "Hi"}]
        params = headrace.ModelParams(vocab_only=True)
        with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
            for name in ("Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B"):
                source = chat_templates.source(name)
                tools = [{"name": "f", "parameters": schema}]
                model.render_chat(hi, tools=tools, tool_choice="required", template=source)
                model.render_chat(hi, response_format=wanted, template=source)
        """
    )
    assert (ended.code, ended.output, ended.errors) == (0, "", "")
