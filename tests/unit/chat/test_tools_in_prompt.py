"""Tools that are told as text, for models whose templates have none."""

from __future__ import annotations

import json

import pytest

import headrace
from headrace import ChatMessage, ParamsError, StopReason, ToolCall
from headrace.grammar import JsonSchema
from headrace.requests.conversation import check_chat
from headrace.requests.tools_in_prompt import in_prompt
from headrace.streams.deltas import ChunkedMessage
from headrace.streams.parser import PlainTextParser, RenderedChat
from headrace.streams.prompted import PromptedParser, reading_calls
from headrace.streams.reading import Reading

HI = {"role": "user", "content": "Hi"}
ADD = {
    "name": "add",
    "description": "A sum.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"$ref": "#/properties/a"}},
    },
}
CALL = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
ONE = ToolCall(name="add", arguments='{"a": 1}')


def told(messages, **request):
    """What the backend is given."""
    return in_prompt(check_chat(messages, tools_in_prompt=True, **request))


def test_tools_stand_in_the_system_message():
    """In one that there is, or in one of their own; the backend sees none."""
    request = told([HI], tools=[ADD])
    assert (request.tools, request.tools_in_prompt) == ((), False)
    system, user = request.messages
    assert (system.role, user.content) == ("system", "Hi")
    assert json.dumps(ADD) in system.content
    system, user = told([{"role": "system", "content": "Be brief."}, HI], tools=[ADD]).messages
    assert system.content.startswith("Be brief.\n\n# Tools\n")


def test_calls_and_results_become_text():
    """And users' messages in turn one: many templates want roles to take turns."""
    request = told(
        [
            HI,
            {"role": "assistant", "content": "Let me see.", "tool_calls": [ONE, ONE]},
            {"role": "tool", "tool_call_id": "x", "content": "1"},
            {"role": "tool", "tool_call_id": "y", "content": "2"},
            {"role": "user", "content": "And?"},
        ]
    )
    assert request.messages == (
        ChatMessage(role="user", content="Hi"),
        ChatMessage(role="assistant", content=f"Let me see.\n{CALL}\n{CALL}"),
        ChatMessage(
            role="user",
            content="<tool_response>\n1\n</tool_response>\n\n"
            "<tool_response>\n2\n</tool_response>\n\nAnd?",
        ),
    )


def test_without_it_a_request_stays_as_it_is():
    """It is asked for, and not guessed."""
    request = check_chat([HI], tools=[ADD])
    assert in_prompt(request) is request
    rendered = RenderedChat(prompt="", parser=PlainTextParser())
    assert reading_calls(request, rendered) is rendered


READ = [
    ("Hello.", "Hello.", 0, False),
    (CALL, "", 1, False),
    (f"One moment.\n{CALL}", "One moment.", 1, False),
    (f"{CALL}\n{CALL}\n", "", 2, False),
    (f"a {CALL} b", "a b", 1, False),
    (CALL.removesuffix("</tool_call>"), "", 1, False),
    ('x <tool_call>{"name": "add"', 'x <tool_call>{"name": "add"', 0, True),
    ("x <tool_call>add(1)</tool_call> y", "x <tool_call>add(1)</tool_call> y", 0, True),
    ("<tool_call>[1]</tool_call>", "<tool_call>[1]</tool_call>", 0, True),
    ('<tool_call>{"name": 1}</tool_call>' + CALL, '<tool_call>{"name": 1}</tool_call>', 1, True),
    ('<tool_call>{"name": "add"}</tool_call>', "", 1, False),
    ("<tool_cal", "<tool_cal", 0, False),
]


@pytest.mark.parametrize(("text", "content", "n_calls", "unread"), READ)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_calls_are_read_wherever_the_text_is_cut(text, content, n_calls, unread, size):
    """What cannot be read is content, and said to be unread."""
    parser, message = PromptedParser(PlainTextParser()), ChunkedMessage()
    reading = Reading(parser)
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    for chunk in [*map(reading.take, parts), reading.finish(text, StopReason.EOG)]:
        if chunk is not None:
            message.add(chunk)
    assert message.message == parser.parse(text, partial=False)
    found = message.message
    assert (found.content, len(found.tool_calls), found.unread) == (content, n_calls, unread)


def test_a_session_does_it_all():
    """On any backend; the arguments are checked."""
    with headrace.load_model(f"fake:{CALL}") as model, model.open_session() as session:
        done = session.complete_chat([HI], tools=[ADD], tools_in_prompt=True)
        assert done.finish_reason == "tool_calls"
        assert done.message.tool_calls[0].valid
        prompt = model.render_chat([HI], tools=[ADD], tools_in_prompt=True).prompt
    assert prompt.startswith("system: # Tools")


def test_a_required_call_is_the_whole_answer():
    """As JSON under a schema of the tools."""
    script = '{"name": "add", "arguments": {"a": 1}}'
    how = {"tools": [ADD], "tools_in_prompt": True, "tool_choice": "required"}
    with headrace.load_model(f"fake:{script}") as model, model.open_session() as session:
        rendered = model.render_chat([HI], **how)
        assert isinstance(rendered.grammar, JsonSchema)
        done = session.complete_chat([HI], **how)
    assert [call.valid for call in done.message.tool_calls] == [True]
    assert done.message.content == ""
    assert "between two tags" not in rendered.prompt


def test_what_cannot_be_is_refused():
    """By name."""
    with pytest.raises(ParamsError, match="response_format must be None beside tools_in_prompt"):
        told([HI], tools=[ADD], response_format="json_object")
    with pytest.raises(ParamsError, match="tools_in_prompt must be True or False"):
        check_chat([HI], tools_in_prompt="yes")
