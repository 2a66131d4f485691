"""The official ``anthropic`` client: events of its own types, helpers, tools, errors."""

from __future__ import annotations

import asyncio

import anthropic
import pytest
from anthropic.types import Message, MessageTokensCount, RawMessageStreamEvent
from anthropic.types.shared import ErrorResponse
from pydantic import TypeAdapter

from headrace_server import ApiKey, create_app
from tests.server.conftest import Listening

HELLO = [{"role": "user", "content": "Hello"}]
ADD = {
    "name": "add",
    "description": "The sum.",
    "input_schema": {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
}
CALLING = (
    "fake:<think>one, two</think>Well. "
    '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
)
MODELS = {
    "mill": "fake:By water.",
    "calling": CALLING,
    "failing": "fake:By water.#fault_at=5&fault=poisoned",
}
EVENT = TypeAdapter(RawMessageStreamEvent)


@pytest.fixture(scope="module")
def url():
    """Where a server with a key and three models listens."""
    with Listening(create_app(MODELS, api_keys=[ApiKey(key="sesame")])) as server:
        yield server.url


@pytest.fixture
def client(url):
    """The client, which tries nothing twice."""
    with anthropic.Anthropic(base_url=url, api_key="sesame", max_retries=0) as client:
        yield client


def asked(model="mill", **changes):
    """What each request says."""
    return {"model": model, "messages": HELLO, "max_tokens": 200, **changes}


def strictly(kind, value):
    """A value as the client's type has it, without what the client forgives."""
    return TypeAdapter(kind).validate_python(value.model_dump(warnings="error"))


def test_a_message(client):
    """Text, an end, usage."""
    message = client.messages.create(**asked(system="Be brief."))
    strictly(Message, message)
    assert [block.text for block in message.content] == ["By water."]
    assert message.stop_reason == "end_turn"
    assert message._request_id.startswith("req-")


def test_a_stop_sequence(client):
    """It is told which."""
    message = client.messages.create(**asked(stop_sequences=["ter"]))
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "ter")


def test_tokens_are_counted(client):
    """As a message has them."""
    counted = client.messages.count_tokens(model="mill", messages=HELLO)
    strictly(MessageTokensCount, counted)
    usage = client.messages.create(**asked()).usage
    assert counted.input_tokens == usage.input_tokens + usage.cache_read_input_tokens


def test_every_event_is_of_the_client_s_types(client):
    """Those of a raw stream, which add up to a message."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    stream = client.messages.create(**asked("calling", tools=[ADD], thinking=thinking), stream=True)
    found = [EVENT.validate_python(event.model_dump(warnings="error")) for event in stream]
    assert [event.type for event in found][0 :: len(found) - 1] == ["message_start", "message_stop"]
    starts = [event.content_block for event in found if event.type == "content_block_start"]
    assert [block.type for block in starts] == ["thinking", "text", "tool_use"]


def test_the_helper_builds_the_message(client):
    """From events alone, with what a tool is called with."""
    with client.messages.stream(**asked("calling", tools=[ADD])) as stream:
        texts = list(stream.text_stream)
        message = stream.get_final_message()
    assert "".join(texts) == "Well. "
    thought, said, call = message.content
    assert (thought.thinking, said.text) == ("one, two", "Well. ")
    assert (call.name, call.input) == ("add", {"a": 1, "b": 2})
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens > 0


def test_a_tool_is_called_and_its_result_read(client):
    """The message goes back as the client gives it."""
    message = client.messages.create(**asked("calling", tools=[ADD]))
    call = message.content[-1]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "3"}
    history = [
        *HELLO,
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result]},
    ]
    later = client.messages.create(**asked(messages=history, tools=[ADD]))
    assert later.content[0].text == "By water."
    with pytest.raises(anthropic.BadRequestError, match="tool_use_id"):
        client.messages.create(**asked(messages=[history[0], history[2]], tools=[ADD]))


def test_tasks(url):
    """The client for asyncio, whole and streamed."""

    async def ask():
        async with anthropic.AsyncAnthropic(base_url=url, api_key="sesame") as client:
            message = await client.messages.create(**asked())
            async with client.messages.stream(**asked()) as stream:
                return message, await stream.get_final_message()

    message, streamed = asyncio.run(ask())
    assert message.content[0].text == streamed.content[0].text == "By water."


def test_a_reader_that_leaves_gives_its_place_back(client):
    """The next request is answered."""
    with client.messages.stream(**asked()) as stream:
        next(iter(stream))
    assert client.messages.create(**asked()).stop_reason == "end_turn"


def test_errors_before_the_headers(url, client):
    """The client's class for each, and a body of its types."""
    with pytest.raises(anthropic.BadRequestError, match="max_tokens") as raised:
        client.messages.create(**asked(max_tokens=0))
    TypeAdapter(ErrorResponse).validate_python(raised.value.body)
    with (
        anthropic.Anthropic(base_url=url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError) as raised,
    ):
        stranger.messages.create(**asked())
    TypeAdapter(ErrorResponse).validate_python(raised.value.body)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**asked("none"))


def test_an_error_after_the_headers(client):
    """It is raised, and no end that looks whole."""
    found = []
    with (
        pytest.raises(anthropic.APIStatusError) as raised,
        client.messages.stream(**asked("failing")) as stream,
    ):
        found.extend(stream)
    assert found
    TypeAdapter(ErrorResponse).validate_python(raised.value.body)
    assert raised.value.body["error"]["code"] == "decode_failed"
