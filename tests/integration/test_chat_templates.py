"""Every template that llama.cpp tests itself with: rendered, and its answers read back.

What the model would write is taken from the template itself: the rendering of a
conversation in which the assistant has answered, from where the answer begins to
what follows any answer. The parser must give the answer back, and give it in
parts wherever the text is cut.
"""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace
from headrace import (
    ChatMessage,
    ModelParams,
    StopReason,
    TemplateError,
    Tool,
    ToolCall,
    UnsupportedError,
)
from headrace.streams.deltas import ChunkedMessage
from headrace.streams.reading import Reading
from headrace_llamacpp.unread import with_unread
from tests.support import chat_templates, tiny_gguf

ANSWER = "It rains in Paris."
ARGUMENTS = {"city": "Paris", "days": 2}
WEATHER = Tool(
    name="get_weather",
    description="The weather of a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)
ASKED = [
    ChatMessage(role="system", content="Be brief."),
    ChatMessage(role="user", content="Is it raining in Paris?"),
]
GO_ON = ChatMessage(role="user", content="Go on.")
SAYS = ChatMessage(role="assistant", content=ANSWER)
CALLS = ChatMessage(
    role="assistant",
    # Some templates take ids of nine characters only.
    tool_calls=(ToolCall(id="abcdefghi", name="get_weather", arguments=json.dumps(ARGUMENTS)),),
)
THOUGHT = "It is autumn."

# Templates whose conversation does not begin with its own prompt, or whose answers do not end
# alike, so that what the model would write cannot be cut out of it.
NOT_CUT_OUT = {
    "says": {
        "Apriel-1.6-15b-Thinker-fixed",
        "Cohere2MoE",
        "CohereForAI-c4ai-command-r-plus-tool_use",
        "Mistral-Small-3.2-24B-Instruct-2506",
        "llama-cpp-rwkv-world",
        "mistralai-Mistral-Nemo-Instruct-2407",
        "upstage-Solar-Open-100B",
    },
    "calls": {
        "Apriel-1.6-15b-Thinker-fixed",
        "Cohere2MoE",
        "CohereForAI-c4ai-command-r-plus-tool_use",
        "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
        "Kimi-K3",
        "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
        "google-gemma-4-31B-it",
        "meetkai-functionary-medium-v3.1",
        "openai-gpt-oss-120b",
        "unsloth-Apriel-1.5",
        "upstage-Solar-Open-100B",
    },
}
# Templates that want a user's turn to follow a call only after its result.
NO_TURN_AFTER_CALL = {
    "Mistral-Small-3.2-24B-Instruct-2506",
    "mistralai-Ministral-3-14B-Reasoning-2512",
    "mistralai-Mistral-Nemo-Instruct-2407",
}
# Templates that show no calls of earlier turns.
NO_CALLS = {
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "HuggingFaceTB-SmolLM3-3B",
    "LFM2-8B-A1B",
    "LFM2.5-Instruct",
    "google-gemma-2-2b-it",
    "ibm-granite-granite-3.3-2B-Instruct",
    "llama-cpp-rwkv-world",
    "microsoft-Phi-3.5-mini-instruct",
}

# Templates that know nothing of tools, or only by variables of their own.
NO_TOOLS = {
    "HuggingFaceTB-SmolLM3-3B",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "deepseek-ai-DeepSeek-V3.1",
    "fireworks-ai-llama-3-firefunction-v2",
    "google-gemma-2-2b-it",
    "llama-cpp-rwkv-world",
    "microsoft-Phi-3.5-mini-instruct",
}

NAMES = chat_templates.names()


@pytest.fixture(scope="module")
def model():
    """A vocabulary is all that rendering needs."""
    params = ModelParams(vocab_only=True)
    with headrace.load_model(tiny_gguf.path("attention"), params=params) as model:
        yield model


@pytest.fixture
def written(model):
    """What the model writes when it gives an answer, and the parser to read it with."""

    def written_(name, answer):
        source = chat_templates.source(name)
        tools = [] if name in NO_TOOLS else [WEATHER]
        asked = model.render_chat(ASKED, tools=tools, template=source)
        told = model.render_chat([*ASKED, SAYS, GO_ON], tools=tools, template=source).prompt
        end = told[told.rindex(ANSWER) + len(ANSWER) :]
        if answer is not SAYS:
            whole = [*ASKED, answer, GO_ON]
            told = model.render_chat(whole, tools=tools, template=source).prompt
        assert told.endswith(end)
        told = told.removesuffix(end)
        begin = asked.prompt
        if not told.startswith(begin):
            # It begins to think; the template forgets the thoughts of earlier turns.
            begin, _, rest = begin.rpartition("<think>")
            assert not rest.strip()
            assert told.startswith(begin)
            text = told.removeprefix(begin).removeprefix("<think>")
            _, thinks, after = text.partition("</think>")
            return f"{THOUGHT}</think>{after if thinks else text}", asked.parser
        return told.removeprefix(begin), asked.parser

    return written_


def read_in_parts(parser, parts, *, whole=True):
    """The message that the chunks amount to, which is that of the whole text if all was read."""
    reading, message = Reading(parser), ChunkedMessage()
    text = "".join(parts)
    chunks = [reading.take(part) for part in parts]
    for chunk in [*chunks, reading.finish(text, StopReason.EOG)]:
        if chunk is not None:
            message.add(chunk)
    if whole:
        assert message.message == parser.parse(text, partial=False)
    return message.message


@pytest.mark.parametrize("name", NAMES)
def test_a_conversation_is_rendered(model, name):
    """All that was said, and with tools their names; each time the same."""
    source = chat_templates.source(name)
    without = model.render_chat(ASKED, template=source)
    assert ASKED[1].content in without.prompt
    assert model.render_chat(ASKED, template=source).prompt == without.prompt
    if name not in NO_TOOLS:
        offered = model.render_chat(ASKED, tools=[WEATHER], template=source).prompt
        assert ASKED[1].content in offered
        assert WEATHER.name in offered
    whole = model.render_chat([*ASKED, SAYS, GO_ON], template=source).prompt
    assert whole.index(ASKED[1].content) < whole.index(ANSWER) < whole.index(GO_ON.content)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_CUT_OUT["says"]])
def test_an_answer_is_read_back(written, name):
    """As text, with no call in it, wherever it is cut."""
    text, parser = written(name, SAYS)
    message = read_in_parts(parser, list(text))
    assert message.content.strip() == ANSWER
    assert message.tool_calls == ()


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in NAMES
        if name not in NOT_CUT_OUT["calls"] | NO_TURN_AFTER_CALL | NO_CALLS | NO_TOOLS
    ],
)
def test_a_call_is_read_back(written, name):
    """With its name and arguments, wherever it is cut."""
    text, parser = written(name, CALLS)
    message = read_in_parts(parser, list(text))
    assert [call.name for call in message.tool_calls] == ["get_weather"]
    assert message.tool_calls[0].parsed() == ARGUMENTS


CALLING = [
    name
    for name in NAMES
    if name not in NOT_CUT_OUT["calls"] | NO_TURN_AFTER_CALL | NO_CALLS | NO_TOOLS
]
WRONG = {
    "no such tool": ("get_weather", "get_wether"),
    "no such argument": ("city", "town"),
    "no JSON": ('"Paris"', "Paris'"),
    "no argument": ("Paris", ""),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", CALLING)
def test_no_call_is_swallowed(written, name, wrong):
    """It is a call, and checked, or else text that is said to be unread."""
    text, parser = written(name, CALLS)
    old, new = WRONG[wrong]
    message = read_in_parts(parser, list(text.replace(old, new)), whole=False)
    told = "".join(call.name + call.arguments for call in message.tool_calls)
    assert "get_w" in message.content + message.reasoning + told
    assert message.tool_calls or message.unread


NO_LINE_BREAK = '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>'
NO_CITY = """<tool_call>
<function=get_weather>
<parameter=days>
2
</parameter>
</function>
</tool_call>"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Qwen-Qwen2.5-7B-Instruct", NO_LINE_BREAK),
        ("Qwen-Qwen3-0.6B", NO_LINE_BREAK),
        ("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", NO_LINE_BREAK),
        ("Qwen3-Coder", NO_CITY),
    ],
)
def test_what_looks_like_a_call_and_is_none_is_content(model, name, text):
    """All of it, with a flag; after a call that was read, too."""
    source = chat_templates.source(name)
    parser = model.render_chat(ASKED, tools=[WEATHER], template=source).parser
    whole = f"Let me see.\n{text}"
    message = parser.parse(whole, partial=False)
    assert (message.content, message.tool_calls) == (whole, ())
    assert message.unread
    streamed = read_in_parts(parser, list(whole), whole=False)
    assert (streamed.content, streamed.unread) == (whole, True)
    # A call that was begun before it turned out to be none stays, with what it had.
    assert {call.arguments for call in streamed.tool_calls} <= {"{"}


def test_a_call_that_is_thought_of_is_no_call():
    """It stays in the thoughts, and nothing is unread."""
    said = ChatMessage(role="assistant", content="No.", reasoning="A <tool_call>? No.")
    text = f"<think>{said.reasoning}</think>No."

    def parse(part):
        return said if part == text else ChatMessage(role="assistant")

    assert with_unread(text, ("<tool_call>",), parse) == said


ANSWERS = [
    *((name, SAYS) for name in NAMES if name not in NOT_CUT_OUT["says"]),
    *(
        (name, CALLS)
        for name in NAMES
        if name not in NOT_CUT_OUT["calls"] | NO_TURN_AFTER_CALL | NO_CALLS | NO_TOOLS
    ),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=st.sampled_from(ANSWERS), cuts=st.lists(st.integers(1, 200), max_size=8))
def test_an_answer_is_the_same_wherever_it_is_cut(written, answer, cuts):
    """Chunks of any length, in any format."""
    text, parser = written(*answer)
    ends = [0, *sorted({each for each in cuts if each < len(text)}), len(text)]
    read_in_parts(parser, [text[begin:end] for begin, end in itertools.pairwise(ends)])


ANY = (
    " <think>a</think> [THINK]b[/THINK]<|channel|>final<|message|>x<response>c</response>\n"
    '<tool_call>{"name": 1}</tool_call>[TOOL_CALLS]<function=f> ```json {}``` >>>all\nfoo '
)


@pytest.mark.parametrize("name", NAMES)
def test_text_of_a_format_without_anything_else_is_shown_as_it_comes(model, name):
    """Whatever it is; what may be more than text in some format is read as a whole there."""
    rendered = model.render_chat(ASKED, template=chat_templates.source(name))
    readings = []
    parse = rendered.parser.raw.parse

    def counting(text, *, partial):
        readings.append(text)
        return parse(text, partial=partial)

    rendered.parser.raw.parse = counting
    shown = [rendered.parser.feed(part) for part in ANY]
    if readings:
        assert len(readings) == len(ANY)
    else:
        assert "".join(chunk.content for chunk in shown) == ANY
        assert parse(ANY, partial=False) == ChatMessage(role="assistant", content=ANY)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Qwen-Qwen2.5-7B-Instruct", True),
        ("Qwen-Qwen3-0.6B", False),
        ("openai-gpt-oss-120b", False),
    ],
)
def test_which_formats_have_nothing_but_text(model, name, plain):
    """Without tools; with them none has."""
    source = chat_templates.source(name)
    markers = model.render_chat(ASKED, template=source).spoken
    for tools in ([], [WEATHER]):
        parser = model.render_chat(ASKED, tools=tools, template=source).parser
        shown = parser.feed(markers[0][:-1])
        assert (shown is not None) == (plain and not tools), tools


@pytest.mark.parametrize("name", sorted(NO_TURN_AFTER_CALL))
def test_a_templates_own_refusal_is_told(model, name):
    """With its words and the line it stands in."""
    source = chat_templates.source(name)
    with pytest.raises(TemplateError, match=r"(?s)at line \d+.*roles must alternate"):
        model.render_chat([*ASKED, CALLS, GO_ON], tools=[WEATHER], template=source)


def test_thoughts_are_kept_apart(model):
    """And can be switched off where the template has that."""
    source = chat_templates.source("Qwen-Qwen3-0.6B")
    thinks = model.render_chat(ASKED, template=source)
    message = thinks.parser.parse("<think>\nHm.\n</think>\n\nYes.", partial=False)
    assert (message.reasoning.strip(), message.content.strip()) == ("Hm.", "Yes.")
    silent = model.render_chat(ASKED, template=source, reasoning=False)
    assert silent.prompt != thinks.prompt
    assert silent.prompt.rstrip().endswith("</think>")
    assert silent.parser.parse("Yes.", partial=False).content == "Yes."


def test_variables_reach_the_template(model):
    """Those of ``template_args``."""
    template = "{{ messages[0].content }} {{ moods | join('-') }}"
    rendered = model.render_chat(ASKED, template=template, template_args={"moods": [1, "x"]})
    assert rendered.prompt == "Be brief. 1-x"


# Formats in which nothing was found that may stand before an answer's text.
NO_PREFILL = {"Apriel-1.6-15b-Thinker-fixed", "Cohere2MoE"}


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_has_begun_is_gone_on_with(model, name):
    """Its text ends the prompt, and what is added is read as text of the answer."""
    source = chat_templates.source(name)
    talk = [ASKED[1], ChatMessage(role="assistant", content="It rains")]
    if name in NO_PREFILL:
        with pytest.raises(UnsupportedError, match=r"no place where messages\[1\]\.content"):
            model.render_chat(talk, template=source)
        return
    rendered = model.render_chat(talk, template=source)
    assert rendered.prompt.endswith("It rains")
    message = read_in_parts(rendered.parser, list(" in Paris."))
    assert (message.content, message.reasoning) == (" in Paris.", "")
