"""Numbers of tools, calls and variables, which the template engine alone would round."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace
from headrace import ChatMessage, ModelParams, Tool, ToolCall
from headrace_llamacpp.exact_numbers import ExactNumbers
from tests.support import chat_templates, tiny_gguf

GIVEN = {
    "latitude": 48.85837009,
    "time": 1732795200.123,
    "price": 1234567.89,
    "small": -1e-07,
    "whole": 3.0,
    "large": 2**64,
    "count": 7,
    "text": "1.50 and 1e400",
}
TOOL = Tool(
    name="f",
    description="",
    parameters={
        "type": "object",
        "properties": {"price": {"type": "number", "maximum": 9876543.21, "minimum": 0.0}},
    },
)


@pytest.fixture(scope="module")
def model():
    """A vocabulary without a template."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        yield model


def asked(content="Hi"):
    """A question, and a call with numbers that was answered."""
    call = ToolCall(id="abcdefghi", name="f", arguments=json.dumps(GIVEN))
    return [
        ChatMessage(role="user", content=content),
        ChatMessage(role="assistant", content="", tool_calls=(call,)),
        ChatMessage(role="tool", tool_call_id="abcdefghi", name="f", content="0.1234567890123"),
    ]


@pytest.mark.parametrize(
    "name", ["Qwen-Qwen3-0.6B", "mistralai-Mistral-Nemo-Instruct-2407", "ibm-granite-granite-4.0"]
)
def test_numbers_are_shown_as_they_were_given(model, name):
    """In a schema, in the arguments of a call, and in texts."""
    source = chat_templates.source(name)
    prompt = model.render_chat(asked(), tools=[TOOL], template=source).prompt
    assert "9876543.21" in prompt
    assert "0.1234567890123" in prompt
    assert json.dumps(GIVEN) in prompt


def test_those_of_variables_too(model):
    """Alone and in JSON."""
    source = "{{ x.price }} {{ x|tojson }}"
    rendered = model.render_chat(asked()[:1], template=source, template_args={"x": GIVEN})
    assert rendered.prompt == f"1234567.89 {json.dumps(GIVEN)}"


def test_a_zero_is_false(model):
    """Nothing stands for it: a template may ask for its truth."""
    source = "{{ 'yes' if x else 'no' }} {{ 'yes' if y else 'no' }}"
    rendered = model.render_chat(asked()[:1], template=source, template_args={"x": 0.0, "y": 0.5})
    assert rendered.prompt == "no yes"


def test_a_template_that_needs_fractions_has_them(model):
    """It is rendered as it was: what stands for a number is none."""
    source = "{{ raise_exception('not a float') if x is not float else x }}"
    rendered = model.render_chat(asked()[:1], template=source, template_args={"x": 0.5})
    assert rendered.prompt == "0.5"


def test_digits_of_a_text_are_nobodys_number(model):
    """Whatever they are."""
    digits = " ".join(f"{head}{0:015}" for head in ("6827", "7394", "8516"))
    source = chat_templates.source("Qwen-Qwen3-0.6B")
    prompt = model.render_chat(asked(digits), tools=[TOOL], template=source).prompt
    assert digits in prompt
    assert json.dumps(GIVEN) in prompt


JSON = st.recursive(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text() | st.none(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=10,
)


@given(JSON)
def test_what_is_put_back_is_what_was_given(value):
    """To the last digit."""
    request = {"messages": [], "x": value}
    assert json.loads(ExactNumbers(request).put_back(ExactNumbers(request).text)) == request
