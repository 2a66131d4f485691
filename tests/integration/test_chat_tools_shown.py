"""What templates leave out of tools is refused; told as text, every template has it."""

from __future__ import annotations

import pytest

import headrace
from headrace import ChatMessage, ModelParams, TemplateError, Tool, ToolCall, UnsupportedError
from tests.integration.test_chat_templates import NO_CALLS, NO_TOOLS
from tests.support import chat_templates, tiny_gguf

WEATHER = Tool(
    name="get_weather",
    description="The weather of a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}},
)
ASKED = ChatMessage(role="user", content="Is it raining?")
CALLED = ChatMessage(
    role="assistant",
    tool_calls=(ToolCall(id="abcdefghi", name="get_weather", arguments='{"city": "Oslo"}'),),
)
RESULT = ChatMessage(role="tool", tool_call_id="abcdefghi", name="get_weather", content="It pours.")
# Templates that pass over messages of tools.
NO_RESULTS = {"llama-cpp-rwkv-world", "microsoft-Phi-3.5-mini-instruct"}
# It wants roles to take turns, and refuses a message of a tool by itself.
REFUSES = "google-gemma-2-2b-it"
NAMES = chat_templates.names()


@pytest.fixture(scope="module")
def model():
    """A vocabulary is all that rendering needs."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        yield model


@pytest.mark.parametrize("name", NAMES)
def test_tools_are_shown_or_refused(model, name):
    """None is passed over in silence."""
    how = {"tools": [WEATHER], "template": chat_templates.source(name)}
    if name not in NO_TOOLS:
        assert "get_weather" in model.render_chat([ASKED], **how).prompt
        return
    with pytest.raises(UnsupportedError, match=r"leaves out tools.*'get_weather'.*tools_in_pro"):
        model.render_chat([ASKED], **how)


@pytest.mark.parametrize("name", NAMES)
def test_earlier_calls_and_results_are_shown_or_refused(model, name):
    """Whether tools are offered again or not."""
    source = chat_templates.source(name)
    talk = [ASKED, CALLED, RESULT]
    if name == REFUSES:
        with pytest.raises(UnsupportedError, match=r"would not see messages\[1\]\.tool_calls"):
            model.render_chat([*talk[:2], ASKED], template=source)
        return
    if name in NO_CALLS:
        with pytest.raises(UnsupportedError, match=r"would not see messages\[1\]\.tool_calls"):
            model.render_chat(talk, template=source)
        talk[1] = ChatMessage(role="assistant", content="I call get_weather for Oslo.")
    if name in NO_RESULTS:
        with pytest.raises(UnsupportedError, match=r"results of calls.*see messages\[2\]"):
            model.render_chat(talk, template=source)
        return
    for tools in ([], [] if name in NO_TOOLS else [WEATHER]):
        prompt = model.render_chat(talk, tools=tools, template=source).prompt
        assert "Oslo" in prompt
        assert "It pours." in prompt


@pytest.mark.parametrize("name", NAMES)
def test_told_as_text_every_template_shows_all(model, name):
    """Tools, calls and results; what it writes as a call is read as one."""
    rendered = model.render_chat(
        [ASKED, CALLED, RESULT, ASKED],
        tools=[WEATHER],
        tools_in_prompt=True,
        template=chat_templates.source(name),
    )
    for text in ("get_weather", "The weather of a city.", "Oslo", "It pours."):
        assert text in rendered.prompt


@pytest.mark.parametrize("name", ["google-gemma-2-2b-it", "microsoft-Phi-3.5-mini-instruct"])
def test_calls_that_are_written_as_text_are_read(model, name):
    """By the parser that belongs to the description."""
    parser = model.render_chat(
        [ASKED], tools=[WEATHER], tools_in_prompt=True, template=chat_templates.source(name)
    ).parser
    text = (
        'One moment.\n<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>'
    )
    message = parser.parse(text, partial=False)
    assert (message.content, message.tool_calls) == (
        "One moment.",
        (ToolCall(name="get_weather", arguments='{"city": "Oslo"}'),),
    )


def test_who_tells_of_the_tools_is_believed(model):
    """In the system message, in a variable of the template, or in the text of an answer."""
    phi = chat_templates.source("microsoft-Phi-3.5-mini-instruct")
    told = ChatMessage(role="system", content="You can call get_weather(city).")
    assert model.render_chat([told, ASKED], tools=[WEATHER], template=phi).prompt
    variable = "{{ mine }}" + phi
    named = {"mine": "get_weather(city)"}
    assert model.render_chat(
        [ASKED], tools=[WEATHER], template=variable, template_args=named
    ).prompt.startswith("get_weather")
    answered = ChatMessage(
        role="assistant", content="[get_weather('Oslo')]", tool_calls=CALLED.tool_calls
    )
    assert "Oslo" in model.render_chat([ASKED, answered, ASKED], template=phi).prompt


def test_tools_that_are_not_to_be_called_may_be_left_out(model):
    """Nobody misses them."""
    source = chat_templates.source("microsoft-Phi-3.5-mini-instruct")
    assert model.render_chat([ASKED], tools=[WEATHER], tool_choice="none", template=source).prompt


def test_a_template_that_refuses_says_so_itself(model):
    """In its own words."""
    source = chat_templates.source(REFUSES)
    told = ChatMessage(role="assistant", content="get_weather", tool_calls=CALLED.tool_calls)
    with pytest.raises(TemplateError, match="must alternate"):
        model.render_chat([ASKED, told, RESULT], template=source)
