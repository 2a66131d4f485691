"""``/v1/messages``: what a request becomes, and what is answered."""

from __future__ import annotations

import msgspec
import pytest

from headrace_server import ApiKey, create_app
from headrace_server.wire.messages import ErrorBody, Message, Text, Thought, ToolUse
from tests.server.conftest import Listening

ADD = {
    "name": "add",
    "description": "The sum.",
    "input_schema": {"type": "object", "properties": {"a": {"type": "number"}}},
}
CALLING = (
    "fake:<think>one, two</think>Well. "
    '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
    '<tool_call>{"name": "add", "arguments": {"a": 2}}</tool_call>'
)
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def client():
    """A client of a model that says always the same."""
    with Listening(create_app("fake:By water.")) as server, server.client() as client:
        yield client


def ask(client, **body):
    """A message, read as the structs have it."""
    answer = client.post("/v1/messages", json={"messages": HELLO, "max_tokens": 500, **body})
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Message)


def refused(client, status=400, path="/v1/messages", **body):
    """The error of a request that is refused, in this interface's shape."""
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return msgspec.json.decode(answer.content, type=ErrorBody).error


def test_a_turn_is_answered_with_a_message(client):
    """One block of text, an end, usage; with and without /v1."""
    message = ask(client)
    assert message.content == [Text(text="By water.")]
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.output_tokens == len("By water.") + 1
    assert message.id.startswith("msg_")
    body = {"messages": HELLO, "max_tokens": 5}
    answer = client.post("/messages", json=body, headers={"anthropic-version": "2023-06-01"})
    assert answer.status_code == 200
    assert answer.headers["request-id"] == answer.headers["x-request-id"]


def test_tokens_in_memory_are_counted_apart(client):
    """Input tokens are those that had to be computed."""
    asked = [{"role": "user", "content": "Once and again"}]
    first, second = ask(client, messages=asked).usage, ask(client, messages=asked).usage
    assert second.cache_read_input_tokens > 0
    whole = counted(client, messages=asked)
    for usage in (first, second):
        assert usage.input_tokens + usage.cache_read_input_tokens == whole


def test_thoughts_text_and_calls_are_blocks(serve):
    """In this order; calls with their input as an object."""
    with serve(CALLING).client() as client:
        message = ask(client, tools=[ADD], thinking={"type": "enabled", "budget_tokens": 1024})
    thought, said, *calls = message.content
    assert thought == Thought(thinking="one, two")
    assert said == Text(text="Well. ")
    assert all(isinstance(call, ToolUse) for call in calls)
    assert [(call.name, call.input) for call in calls] == [("add", {"a": 1}), ("add", {"a": 2})]
    assert len({call.id for call in calls}) == 2
    assert message.stop_reason == "tool_use"
    # The fake's tokens are bytes: the thoughts and the tag before them.
    assert message.usage.output_tokens_details.thinking_tokens == len("<think>one, two")


@pytest.mark.parametrize(
    ("asked", "reason", "stop", "text"),
    [
        ({}, "end_turn", None, "By water."),
        ({"max_tokens": 4}, "max_tokens", None, "By w"),
        ({"stop_sequences": ["xyz", "ter"]}, "stop_sequence", "ter", "By wa"),
    ],
)
def test_why_it_ended_is_told(client, asked, reason, stop, text):
    """In this interface's words, with the string that ended it."""
    message = ask(client, **asked)
    assert (message.stop_reason, message.stop_sequence) == (reason, stop)
    assert message.content == [Text(text=text)]


def test_a_full_context_is_told(serve):
    """It is no limit of the request's."""
    with serve("fake:By water.#n_ctx=32").client() as client:
        message = ask(client)
    assert message.stop_reason == "model_context_window_exceeded"
    assert "By water.".startswith(message.content[0].text)


def test_what_cannot_be_read_as_a_call_is_text(serve):
    """It is content with a note, and no failure."""
    with serve('fake:Well. <tool_call>{"name": add}</tool_call>').client() as client:
        message = ask(client, tools=[ADD])
    (block,) = message.content
    assert block.text == 'Well. <tool_call>{"name": add}</tool_call>'
    assert block.unread is True
    assert block.note
    assert message.stop_reason == "end_turn"


# -- conversations ----------------------------------------------------------


def counted(client, **body):
    """Tokens of an input; the fake has one for each byte."""
    answer = client.post("/v1/messages/count_tokens", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["input_tokens"]


def rendered(text):
    """How many tokens the fake's rendering of a conversation has."""
    return len("#" + text.replace("<eos>", "#") + "assistant: ")


CALL = {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "3"}
HISTORY = [
    {"role": "user", "content": [{"type": "text", "text": "1+2"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "So:"},
            CALL,
        ],
    },
    {"role": "user", "content": [RESULT, {"type": "text", "text": "Thanks"}]},
]


def test_blocks_become_turns(client):
    """Results are turns of their own, before the text beside them; the system comes first."""
    expected = (
        "system: Be brief.\nAdd.<eos>\n"
        "user: 1+2<eos>\n"
        'assistant: <think>hm</think>So:<tool_call>{"name": "add", "arguments": {"a": 1}}'
        "</tool_call><eos>\n"
        "tool: 3<eos>\n"
        "user: Thanks<eos>\n"
    )
    system = [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Add."}]
    assert counted(client, system=system, messages=HISTORY) == rendered(expected)
    assert counted(client, system="Be brief.\nAdd.", messages=HISTORY) == rendered(expected)
    usage = ask(client, system=system, messages=HISTORY).usage
    assert usage.input_tokens + usage.cache_read_input_tokens == rendered(expected)


def test_what_stands_for_a_control_token_is_counted_as_text(client):
    """As the model sees it."""
    asked = [{"role": "user", "content": "Write <eos> here"}]
    usage = ask(client, messages=asked).usage
    tokens = counted(client, messages=asked)
    assert tokens == rendered("user: Write #### here<eos>\n") + len("<eos>") - len("####")
    assert tokens == usage.input_tokens + usage.cache_read_input_tokens


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ({"content": [{"type": "text", "text": "3"}]}, "3"),
        ({}, ""),
        ({"content": "no such sum", "is_error": True}, "Error: no such sum"),
    ],
)
def test_a_result_may_come_in_blocks_or_be_an_error(client, result, shown):
    """The model sees which; one without content is empty."""
    block = {"type": "tool_result", "tool_use_id": "t1", **result}
    messages = [*HISTORY[:2], {"role": "user", "content": [block]}]
    before = counted(client, messages=[*HISTORY[:2], {"role": "user", "content": [RESULT]}])
    assert counted(client, messages=messages) == before + len(shown) - len("3")


def test_turns_of_one_speaker_are_one(client):
    """As the interface has it."""
    two = [{"role": "user", "content": "One"}, {"role": "user", "content": "Two"}]
    assert counted(client, messages=two) == rendered("user: One\nTwo<eos>\n")


def test_an_answer_that_has_begun_is_gone_on_with(serve):
    """The message is what is added to it."""
    begun = [*HELLO, {"role": "assistant", "content": "By wa"}]
    with serve("fake:By water.").client() as client:
        message = ask(client, messages=begun)
    assert message.content == [Text(text="By water.")]


def test_thinking_is_asked_for_only_where_the_request_says_so(serve, monkeypatch):
    """Without a word about it there is none; the rest goes to the template."""
    seen = []
    server = serve("fake:By water.")
    from headrace_fake import chat as fake

    render = fake.render

    def watched(request):
        seen.append((request.thinking, dict(request.template_args)))
        return render(request)

    monkeypatch.setattr(fake, "render", watched)
    with server.client() as client:
        for asked in (
            {},
            {"thinking": {"type": "disabled"}},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ):
            ask(client, **asked)
    assert seen == [(False, {}), (False, {}), (True, {"reasoning_effort": "low"})]


def test_a_choice_says_what_may_be_called(client):
    """``any`` and ``tool`` need a call; ``none`` shows no tools with the fake."""
    other = {**ADD, "name": "sub"}
    whole = counted(client, messages=HELLO, tools=[ADD, other])
    alone = counted(client, messages=HELLO, tools=[other])
    named = {"type": "tool", "name": "sub", "disable_parallel_tool_use": True}
    assert counted(client, messages=HELLO, tools=[ADD, other], tool_choice=named) == alone < whole
    anyone = {"type": "any"}
    assert counted(client, messages=HELLO, tools=[ADD, other], tool_choice=anyone) == whole
    nobody = {"type": "none"}
    assert counted(client, messages=HELLO, tools=[ADD], tool_choice=nobody) < alone


def test_text_keeps_to_a_schema(serve):
    """The fake writes no other text under one."""
    schema = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}
    config = {"format": {"type": "json_schema", "schema": schema}}
    with serve('fake:{"a": 3}').client() as client:
        assert ask(client, output_config=config).content == [Text(text='{"a": 3}')]


# -- what is refused --------------------------------------------------------


def turns(*contents):
    """Turns of the user and the assistant by turns."""
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": each} for at, each in enumerate(contents)]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"max_tokens": ...}, "max_tokens"),
        ({"messages": ...}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"role": "king", "content": "?"}]}, "messages[0].role"),
        ({"messages": turns([{"type": "image"}])}, "messages[0].content[0].type"),
        ({"messages": turns([{"type": "text"}])}, "messages[0].content[0].text"),
        ({"messages": turns([{"type": "text", "text": 5}])}, "messages[0].content[0].text"),
        ({"messages": turns([RESULT])}, "messages[0].content[0].tool_use_id"),
        ({"messages": turns("?", [CALL])}, "messages"),
        ({"messages": turns("?", [CALL], "?")}, "messages[2]"),
        ({"messages": turns("?", [CALL], [RESULT, RESULT])}, "messages[2].content[1].tool_use_id"),
        (
            {"messages": turns("?", [CALL], [{"type": "text", "text": "?"}, RESULT])},
            "messages[2].content[1]",
        ),
        ({"messages": turns("?", [CALL, CALL], [RESULT])}, "messages[1].content[1].id"),
        ({"messages": turns("?", [{**CALL, "input": "x"}])}, "messages[1].content[0].input"),
        (
            {"messages": turns("?", [{"type": "tool_use", "id": "x"}])},
            "messages[1].content[0].name",
        ),
        ({"messages": turns("?", [])}, "messages[1].content"),
        ({"messages": turns("?", "")}, "messages[1].content"),
        (
            {"messages": turns("?", [{"type": "redacted_thinking", "data": "x"}])},
            "messages[1].content[0].type",
        ),
        ({"system": 5}, "system"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "x"}, "max_tokens"),
        ({"stop_sequences": [""]}, "stop_sequences[0]"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        ({"tools": [{"name": "add"}]}, "tools[0].input_schema"),
        ({"tools": [{**ADD, "input_schema": {"type": 5}}]}, "tools[0].input_schema"),
        ({"tools": [{**ADD, "name": "a b"}]}, "tools[0].name"),
        ({"tools": [ADD], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [ADD], "tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tools": [ADD], "tool_choice": {"type": "tool", "name": "mul"}}, "tool_choice.name"),
        ({"tools": [ADD], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"thinking": {"type": "always"}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, "thinking.display"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "x"}}}},
            "output_config.format.schema",
        ),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_what_is_wrong_is_named(client, body, param):
    """Always a 400 in this interface's shape that names the field."""
    whole = {"messages": HELLO, "max_tokens": 5, **body}
    error = refused(client, **{name: value for name, value in whole.items() if value is not ...})
    assert error.type == "invalid_request_error"
    assert error.param == param
    assert error.message.startswith(param)


def test_errors_have_this_interface_s_types(serve):
    """Whatever the status is."""
    server = serve("fake:hi#n_ctx=64", api_keys=[ApiKey(key="sesame")])
    body = {"messages": HELLO, "max_tokens": 5}
    with server.client() as client:
        assert refused(client, 401, **body).type == "authentication_error"
    with server.client(headers={"x-api-key": "sesame"}) as client:
        assert ask(client).stop_reason == "end_turn"
        long = [{"role": "user", "content": "x" * 100}]
        error = refused(client, messages=long, max_tokens=5)
        assert (error.type, error.code) == ("invalid_request_error", "context_length_exceeded")
        assert "120" in error.message
        assert "64" in error.message
