"""``/v1/responses``: what a request becomes, and what is answered."""

from __future__ import annotations

import msgspec
import pytest

from headrace_server import create_app
from headrace_server.wire.responses import FunctionCall, Message, Reasoning, Response
from tests.server.conftest import Listening

ADD = {
    "type": "function",
    "name": "add",
    "description": "The sum.",
    "parameters": {"type": "object", "properties": {"a": {"type": "number"}}},
    "strict": True,
}
CALLING = (
    "fake:<think>one, two</think>Well. "
    '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
    '<tool_call>{"name": "add", "arguments": {"a": 2}}</tool_call>'
)


@pytest.fixture(scope="module")
def client():
    """A client of a model that says always the same."""
    with Listening(create_app("fake:By water.")) as server, server.client() as client:
        yield client


def ask(client, **body):
    """A response, read as the structs have it."""
    answer = client.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Response)


def refused(client, status=400, path="/v1/responses", **body):
    """The error of a request that is refused."""
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def test_a_text_is_answered_with_a_message(client):
    """One item, whole, with usage; with and without /v1."""
    response = ask(client, input="What drives a mill?", metadata={"mill": "1"}, user="ann")
    (item,) = response.output
    assert isinstance(item, Message)
    assert (item.status, item.role) == ("completed", "assistant")
    assert [part.text for part in item.content] == ["By water."]
    assert (response.status, response.error, response.incomplete_details) == (
        "completed",
        None,
        None,
    )
    assert (response.metadata, response.user) == ({"mill": "1"}, "ann")
    assert response.completed_at >= response.created_at
    usage = response.usage
    assert usage.output_tokens == len("By water.") + 1
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert client.post("/responses", json={"input": "?"}).status_code == 200


def test_the_same_again_is_in_memory(client):
    """What was computed for a request is found by the next one, and told."""
    assert ask(client, input="Again").usage.input_tokens_details.cached_tokens == 0
    assert ask(client, input="Again").usage.input_tokens_details.cached_tokens > 0


def test_thoughts_text_and_calls_are_items(serve):
    """In this order, each with its own id; calls with their arguments."""
    with serve(CALLING).client() as client:
        response = ask(client, input="1?", tools=[ADD], parallel_tool_calls=True)
    thought, said, *calls = response.output
    assert isinstance(thought, Reasoning)
    assert [part.text for part in thought.content] == ["one, two"]
    assert isinstance(said, Message)
    assert said.content[0].text == "Well. "
    assert all(isinstance(call, FunctionCall) for call in calls)
    assert [(call.name, call.arguments) for call in calls] == [
        ("add", '{"a": 1}'),
        ("add", '{"a": 2}'),
    ]
    assert len({item.id for item in response.output}) == 4
    assert len({call.call_id for call in calls}) == 2
    assert {item.status for item in response.output} == {"completed"}
    # The fake's tokens are bytes: the thoughts and the tag before them.
    assert response.usage.output_tokens_details.reasoning_tokens == len("<think>one, two")
    assert response.tools == [ADD]


def test_an_answer_that_is_cut_is_incomplete(client):
    """It says what cut it."""
    response = ask(client, input="?", max_output_tokens=4)
    assert response.status == "incomplete"
    assert response.incomplete_details == {"reason": "max_output_tokens"}
    assert response.output[0].status == "incomplete"
    assert response.output[0].content[0].text == "By w"
    assert response.completed_at is None


def test_what_cannot_be_read_as_a_call_is_text(serve):
    """It is content with a note, and no failure."""
    with serve('fake:Well. <tool_call>{"name": add}</tool_call>').client() as client:
        response = ask(client, input="?", tools=[ADD])
    (item,) = response.output
    assert item.content[0].text == 'Well. <tool_call>{"name": add}</tool_call>'
    assert item.unread is True


def test_settings_are_told_again(client):
    """What the request says stands in the response; what it leaves out is the model's."""
    response = ask(
        client,
        input="?",
        instructions="Be brief.",
        temperature=0.5,
        top_p=0.9,
        reasoning={"effort": "low"},
        truncation="disabled",
        max_output_tokens=50,
        store=False,
    )
    assert (response.temperature, response.top_p) == (0.5, 0.9)
    assert response.instructions == "Be brief."
    assert response.reasoning["effort"] == "low"
    assert (response.truncation, response.max_output_tokens) == ("disabled", 50)
    assert response.store is False
    assert response.text == {"format": {"type": "text"}}
    assert response.tool_choice == "auto"
    assert ask(client, input="?").temperature == 0.8


# -- conversations ----------------------------------------------------------


def counted(client, **body):
    """Tokens of an input; the fake has one for each byte."""
    answer = client.post("/v1/responses/input_tokens", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["object"] == "response.input_tokens"
    return answer.json()["input_tokens"]


def rendered(text):
    """How many tokens the fake's rendering of a conversation has."""
    return len("#" + text.replace("<eos>", "#") + "assistant: ")


HISTORY = [
    {"role": "developer", "content": "Add."},
    {"role": "user", "content": [{"type": "input_text", "text": "1+2"}]},
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hm"}],
        "status": "completed",
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "So:", "annotations": [], "logprobs": []}],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c1",
        "name": "add",
        "arguments": '{"a": 1}',
        "status": "completed",
    },
    {"type": "function_call_output", "call_id": "c1", "output": "3"},
    {"role": "user", "content": "Thanks"},
]


def test_items_become_turns(client):
    """Thoughts, text and calls of one answer are one turn; instructions come first."""
    expected = (
        "system: Be brief.<eos>\n"
        "developer: Add.<eos>\n"
        "user: 1+2<eos>\n"
        'assistant: <think>hm</think>So:<tool_call>{"name": "add", "arguments": {"a": 1}}'
        "</tool_call><eos>\n"
        "tool: 3<eos>\n"
        "user: Thanks<eos>\n"
    )
    tokens = counted(client, instructions="Be brief.", input=HISTORY)
    assert tokens == rendered(expected)
    response = ask(client, instructions="Be brief.", input=HISTORY)
    assert response.usage.input_tokens == tokens


def test_a_result_may_come_in_parts(client):
    """As text of several parts."""
    parts = [{"type": "input_text", "text": "3"}]
    whole = [*HISTORY[:5], {"type": "function_call_output", "call_id": "c1", "output": parts}]
    assert counted(client, input=whole) == counted(client, input=HISTORY[:6])


def test_a_conversation_goes_on_by_id(client):
    """With what was said and answered, and without the instructions of then."""
    first = ask(client, input="Hello", instructions="Be brief.")
    expected = "user: Hello<eos>\nassistant: By water.<eos>\nuser: Why?<eos>\n"
    asked = {"input": "Why?", "previous_response_id": first.id}
    assert counted(client, **asked) == rendered(expected)
    second = ask(client, **asked)
    assert second.previous_response_id == first.id
    third = ask(client, input="So?", previous_response_id=second.id)
    expected += "assistant: By water.<eos>\nuser: So?<eos>\n"
    assert third.usage.input_tokens == rendered(expected)


def test_a_result_goes_to_the_call_of_a_kept_response(serve):
    """As agents do it, which send what is new alone."""
    with serve(CALLING).client() as client:
        first = ask(client, input="1?", tools=[ADD])
        results = [
            {"type": "function_call_output", "call_id": item.call_id, "output": "3"}
            for item in first.output
            if isinstance(item, FunctionCall)
        ]
        later = {"tools": [ADD], "previous_response_id": first.id}
        assert ask(client, input=results, **later).status == "completed"
        error = refused(client, input=results[:1], **later)
        assert "there is no function_call_output" in error["message"]
        error = refused(client, input="And?", **later)
        assert "there is no function_call_output" in error["message"]


def test_responses_are_kept_only_where_asked(client):
    """One that was not, and one that never was, are not found; those kept are, until deleted."""
    kept, passing = ask(client, input="?"), ask(client, input="?", store=False)
    for name in (passing.id, "resp_none"):
        error = refused(client, input="Why?", previous_response_id=name)
        assert error["param"] == "previous_response_id"
        assert error["code"] == "response_not_found"
        assert name in error["message"]
    found = client.get(f"/v1/responses/{kept.id}")
    assert msgspec.json.decode(found.content, type=Response) == kept
    assert client.delete(f"/v1/responses/{kept.id}").json()["deleted"] is True
    assert client.get(f"/v1/responses/{kept.id}").status_code == 404
    assert client.delete(f"/v1/responses/{kept.id}").status_code == 404


def test_text_keeps_to_a_schema(serve):
    """An answer that is asked for as JSON is; the fake writes no other under a schema."""
    schema = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}
    wanted = {"format": {"type": "json_schema", "name": "sum", "schema": schema, "strict": True}}
    with serve('fake:{"a": 3}').client() as client:
        response = ask(client, input="?", text=wanted)
        assert response.text["format"]["schema"] == schema
        assert response.output[0].content[0].text == '{"a": 3}'
        anything = ask(client, input="?", text={"format": {"type": "json_object"}})
    assert anything.text == {"format": {"type": "json_object"}}


def test_a_choice_leaves_the_tools_it_names(client):
    """A tool that is not allowed is not shown to the model either."""
    other = {**ADD, "name": "sub"}
    whole = counted(client, input="?", tools=[ADD, other])
    alone = counted(client, input="?", tools=[other])
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "sub"}]}
    assert counted(client, input="?", tools=[ADD, other], tool_choice=allowed) == alone < whole
    named = {"type": "function", "name": "sub"}
    assert counted(client, input="?", tools=[ADD, other], tool_choice=named) == alone
    assert counted(client, input="?", tools=[ADD], tool_choice="none") < alone


# -- what is refused --------------------------------------------------------

CALL = HISTORY[4]
RESULT = HISTORY[5]


def test_log_probabilities_are_those_of_the_text(serve):
    """A token each; thoughts, marks and the end have none."""
    wanted = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    with serve(CALLING).client() as client:
        response = ask(client, input="?", tools=[ADD], **wanted)
        plain = ask(client, input="?", tools=[ADD])
    (text,) = response.output[1].content
    assert "".join(each.token for each in text.logprobs) == "Well. "
    assert [bytes(each.bytes).decode() for each in text.logprobs] == list("Well. ")
    assert all(each.logprob <= 0 for each in text.logprobs)
    assert {len(each.top_logprobs) for each in text.logprobs} == {2}
    assert response.top_logprobs == 2
    assert plain.output[1].content[0].logprobs == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"type": "web_search_call"}]}, "input[0].type"),
        ({"input": [{"type": ["message"]}]}, "input[0].type"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "king", "content": "?"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0].type",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
        ),
        ({"input": [RESULT]}, "input[0].call_id"),
        ({"input": [CALL, RESULT, RESULT]}, "input"),
        ({"input": [CALL, CALL, RESULT]}, "input[1].call_id"),
        ({"input": [CALL]}, "input"),
        ({"input": [CALL, {"role": "user", "content": "?"}, RESULT]}, "input"),
        ({"input": [{**CALL, "arguments": '{"a": '}]}, "input[0].arguments"),
        ({"input": [{**CALL, "arguments": "[]"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call", "name": "add"}]}, "input[0].call_id"),
        ({"input": "?", "model": 5}, "model"),
        ({"input": "?", "instructions": 5}, "instructions"),
        ({"input": "?", "previous_response_id": 5}, "previous_response_id"),
        ({"input": "?", "tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": "?", "tools": [ADD, {"type": "function"}]}, "tools[1].name"),
        ({"input": "?", "tools": [ADD], "tool_choice": "any"}, "tool_choice"),
        (
            {"input": "?", "tools": [ADD], "tool_choice": {"type": "function", "name": "mul"}},
            "tool_choice.name",
        ),
        ({"input": "?", "tools": [ADD], "tool_choice": {"type": "mcp"}}, "tool_choice"),
        (
            {"input": "?", "tools": [ADD], "tool_choice": {"type": "allowed_tools"}},
            "tool_choice.mode",
        ),
        ({"input": "?", "tool_choice": "required"}, "tool_choice"),
        ({"input": "?", "parallel_tool_calls": "yes"}, "parallel_tool_calls"),
        ({"input": "?", "text": {"format": {"type": "xml"}}}, "text.format.type"),
        (
            {"input": "?", "text": {"format": {"type": "json_schema", "name": "x"}}},
            "text.format.schema",
        ),
        (
            {
                "input": "?",
                "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "x"}}},
            },
            "text.format.schema",
        ),
        (
            {
                "input": "?",
                "text": {
                    "format": {"type": "json_schema", "schema": {"uniqueItems": True}},
                },
            },
            "text.format.schema",
        ),
        ({"input": "?", "reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"input": "?", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "?", "max_output_tokens": 1.5}, "max_output_tokens"),
        ({"input": "?", "temperature": -1}, "temperature"),
        ({"input": "?", "top_p": 2}, "top_p"),
        (
            {"input": "?", "top_logprobs": 21, "include": ["message.output_text.logprobs"]},
            "top_logprobs",
        ),
        ({"input": "?", "top_logprobs": 2}, "top_logprobs"),
        ({"input": "?", "include": ["file_search_call.results"]}, "include[0]"),
        ({"input": "?", "truncation": "auto"}, "truncation"),
        ({"input": "?", "metadata": {"a": 5}}, "metadata"),
        ({"input": "?", "metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"input": "?", "metadata": {"a": "b" * 513}}, "metadata"),
        ({"input": "?", "background": True}, "background"),
        ({"input": "?", "conversation": "conv_1"}, "conversation"),
        ({"input": "?", "prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": "?", "store": "yes"}, "store"),
        ({"input": "?", "stream": "yes"}, "stream"),
    ],
)
def test_what_is_wrong_is_named(client, body, param):
    """Always a 400 that names the field, in the message too."""
    error = refused(client, **body)
    assert error["param"] == param
    assert error["message"].startswith(param)


def test_a_long_input_is_refused_with_both_numbers(serve):
    """Nothing is cut; streamed, it is the same plain status."""
    with serve("fake:hi#n_ctx=64").client() as client:
        error = refused(client, input="x" * 100)
        assert error["code"] == "context_length_exceeded"
        assert "64" in error["message"]
        assert "120" in error["message"]
        assert refused(client, input="x" * 100, stream=True) == error
