"""What callers may pass to ``chat``, and what they are told if it is wrong."""

from __future__ import annotations

import json

import pytest

from headrace import ChatMessage, ParamsError, Tool, ToolCall
from headrace.requests.conversation import check_chat

HI = {"role": "user", "content": "Hi"}
ADD = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
SUB = {"name": "sub"}


def test_dicts_of_openais_shape_become_headraces_types():
    """All of a conversation with a call and its answer."""
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    request = check_chat(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Add"}]},
            {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
            {"role": "assistant", "content": "Two.", "reasoning_content": "1+1"},
        ],
        tools=[{"type": "function", "function": {**ADD, "strict": True}}],
    )
    assert request.messages == (
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content="Add"),
        ChatMessage(
            role="assistant", tool_calls=(ToolCall(id="c1", name="add", arguments='{"a":1}'),)
        ),
        ChatMessage(role="tool", content="2", tool_call_id="c1"),
        ChatMessage(role="assistant", content="Two.", reasoning="1+1"),
    )
    assert request.tools == (Tool(**ADD),)


def test_a_message_goes_out_as_it_came_in():
    """``as_dict`` is the inverse of reading a dict."""
    message = ChatMessage(
        role="assistant",
        content="x",
        reasoning="y",
        tool_calls=[ToolCall(id="1", name="f", arguments='{"a": [1]}')],
    )
    answer = ChatMessage(role="tool", content="z", tool_call_id="1", name="f")
    dicts = [message.as_dict(), answer.as_dict()]
    assert check_chat(json.loads(json.dumps(dicts))).messages == (message, answer)


WRONG_MESSAGES = [
    ("Hi", "messages must be a sequence"),
    (HI, "messages must be a sequence"),
    ([], "messages must not be empty"),
    ([HI, "Hi"], r"messages\[1\] must be a ChatMessage or a dict"),
    ([{"content": "Hi"}], r"messages\[0\] has no role"),
    ([{"role": "user"}], r"messages\[0\]\.content is missing"),
    ([{"role": "human", "content": ""}], r"messages\[0\]\.role must be one of .*'human'"),
    ([HI, {**HI, "contents": ""}], r"messages\[1\] has no parameter 'contents'.*'content'"),
    ([{**HI, "content": 3}], r"messages\[0\]\.content must be"),
    ([{**HI, "content": b"Hi"}], r"messages\[0\]\.content must be"),
    ([{**HI, "content": "\ud800"}], r"messages\[0\]\.content must be text without lone"),
    ([{**HI, "content": [{"type": "image_url"}]}], r"messages\[0\]\.content\[0\] must be of type"),
    ([{**HI, "reasoning": "x"}], r"messages\[0\]\.reasoning must be empty"),
    ([{**HI, "tool_call_id": "x"}], r"messages\[0\]\.tool_call_id must be None"),
    ([{**HI, "tool_calls": [ToolCall(name="f")]}], r"messages\[0\]\.tool_calls must be empty"),
    (
        [{"role": "assistant", "tool_calls": [{"function": {"arguments": ""}}]}],
        r"messages\[0\]\.tool_calls\[0\]\.function has no name",
    ),
    (
        [{"role": "assistant", "tool_calls": [{"function": {"name": 1}}]}],
        r"messages\[0\]\.tool_calls\[0\]\.name must be a str",
    ),
]


@pytest.mark.parametrize(("messages", "told"), WRONG_MESSAGES)
def test_a_wrong_message_is_named_with_its_index_and_field(messages, told):
    """So that it can be found in a long conversation."""
    with pytest.raises(ParamsError, match=told):
        check_chat(messages)


WRONG_REQUESTS = [
    ({"tools": "add"}, "tools must be a sequence"),
    ({"tools": [{"name": "a b"}]}, r"tools\[0\]\.name must be 1 to 64"),
    ({"tools": [{"description": "x"}]}, r"tools\[0\] has no name"),
    ({"tools": [{"function": {"nam": "x"}}]}, r"tools\[0\]\.function has no parameter 'nam'"),
    ({"tools": [{"name": "f", "parameters": []}]}, r"tools\[0\]\.parameters must be a JSON schema"),
    (
        {"tools": [{"name": "f", "parameters": {"x": float("nan")}}]},
        r"tools\[0\]\.parameters must be a JSON schema",
    ),
    ({"tools": [ADD, ADD]}, r"tools\[1\]\.name is 'add', and so"),
    ({"tool_choice": "required"}, "there are no tools"),
    ({"tool_choice": "any"}, "tool_choice must be 'auto'"),
    ({"tools": [ADD], "tool_choice": {"function": {"name": "ad"}}}, "name one of the tools"),
    ({"response_format": "xml"}, "response_format must be"),
    ({"response_format": {"type": "xml"}}, r"response_format\['type'\] must be"),
    ({"response_format": {"type": "json_schema"}}, r"response_format\['json_schema'\]"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        "response_format's schema must be a dict",
    ),
    ({"template": " "}, "template must be the source"),
    ({"template": "a\0b"}, "NUL character at index 1"),
    ({"template": "\ud800"}, "lone surrogate"),
    ({"template_args": {"a b": 1}}, "template_args must have names"),
    ({"template_args": {"a": object()}}, "template_args cannot be written as JSON"),
    ({"reasoning": "low"}, "reasoning must be True or False"),
    ({"parallel_tool_calls": 1}, "parallel_tool_calls must be"),
]


@pytest.mark.parametrize(("request_", "told"), WRONG_REQUESTS)
def test_what_is_wrong_with_a_request_is_told(request_, told):
    """Each argument by its name."""
    with pytest.raises(ParamsError, match=told):
        check_chat([HI], **request_)


def test_a_tool_chosen_by_name_is_required_and_alone():
    """As the template cannot be told of one among several."""
    choice = {"type": "function", "function": {"name": "sub"}}
    request = check_chat([HI], tools=[ADD, SUB], tool_choice=choice)
    assert (request.tool_choice, [tool.name for tool in request.tools]) == ("required", ["sub"])


@pytest.mark.parametrize(
    ("wanted", "schema"),
    [
        (None, None),
        ("text", None),
        ({"type": "text"}, None),
        ("json_object", {"type": "object"}),
        ({"type": "json_object"}, {"type": "object"}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}},
            {"type": "array"},
        ),
    ],
)
def test_a_response_format_is_a_schema_or_nothing(wanted, schema):
    """In the forms of OpenAI's API."""
    found = check_chat([HI], response_format=wanted).json_schema
    assert (json.loads(found) if found else None) == schema
