"""The official ``openai`` client at ``/v1/responses``: every event as its own types have it."""

from __future__ import annotations

import asyncio

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from headrace_server import create_app
from tests.server.conftest import Listening

ADD = {
    "type": "function",
    "name": "add",
    "description": "The sum.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
    "strict": True,
}
CALLING = (
    "fake:<think>one, two</think>Well. "
    '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
)
MODELS = {
    "mill": "fake:By water.",
    "json": 'fake:{"a": 3}',
    "calling": CALLING,
    "failing": "fake:By water.#fault_at=5&fault=poisoned",
}
EVENT = TypeAdapter(ResponseStreamEvent)
RESPONSE = TypeAdapter(Response)


@pytest.fixture(scope="module")
def url():
    """Where a server with four models listens."""
    with Listening(create_app(MODELS)) as server:
        yield f"{server.url}/v1"


@pytest.fixture
def client(url):
    """The client, which tries nothing twice."""
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


def strictly(adapter, value):
    """A value as the client's type has it, without what the client forgives."""
    return adapter.validate_python(value.model_dump(by_alias=True, warnings="error"))


FULL = {
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
    "instructions": "Be brief.",
    "tools": [ADD],
    "metadata": {"mill": "1"},
    "temperature": 0.5,
    "top_p": 0.9,
    "reasoning": {"effort": "low"},
    "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
    "top_logprobs": 2,
    "store": False,
    "truncation": "disabled",
}


@pytest.mark.parametrize("model", ["mill", "calling"])
@pytest.mark.parametrize("asked", [{"input": "Hello"}, FULL])
@pytest.mark.parametrize("limit", [None, 4])
def test_a_response_is_of_the_client_s_types(client, model, asked, limit):
    """Whole, and each event of the stream, whose last has the same."""
    whole = client.responses.create(model=model, max_output_tokens=limit, **asked)
    strictly(RESPONSE, whole)
    stream = client.responses.create(model=model, max_output_tokens=limit, **asked, stream=True)
    found = [strictly(EVENT, event) for event in stream]
    assert [event.sequence_number for event in found] == list(range(len(found)))
    assert found[-1].type == ("response.incomplete" if limit else "response.completed")
    assert found[-1].response.output_text == whole.output_text


def test_log_probabilities_are_those_of_the_text(client):
    """A token each, with the likeliest; thoughts and marks have none."""
    response = client.responses.create(model="calling", **FULL)
    (text,) = (item.content[0] for item in response.output if item.type == "message")
    assert "".join(each.token for each in text.logprobs) == "Well. "
    assert {len(each.top_logprobs) for each in text.logprobs} == {2}
    stream = client.responses.create(model="calling", **FULL, stream=True)
    deltas = [event for event in stream if event.type == "response.output_text.delta"]
    assert "".join(each.token for delta in deltas for each in delta.logprobs) == "Well. "


def test_the_helper_builds_the_response(client):
    """From events alone."""
    with client.responses.stream(model="calling", input="1 + 2?", tools=[ADD]) as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert response.output_text == "Well. "
    assert response.output[-1].parsed_arguments == {"a": 1, "b": 2}


class Sum(BaseModel):
    """What is asked for."""

    a: int


def test_an_answer_is_parsed(client):
    """Into a class of the caller's, whose schema the text keeps to."""
    response = client.responses.parse(model="json", input="?", text_format=Sum)
    assert response.output_parsed == Sum(a=3)


def test_a_tool_is_called_and_its_result_read(client):
    """With the output sent back whole, and by the response's id."""
    first = client.responses.create(model="calling", input="1 + 2?", tools=[ADD])
    call = first.output[-1]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "3"}
    history = [{"role": "user", "content": "1 + 2?"}, *first.output, result]
    for asked in ({"input": history}, {"input": [result], "previous_response_id": first.id}):
        later = client.responses.create(model="mill", tools=[ADD], **asked)
        assert later.output_text == "By water."


def test_responses_are_kept(client):
    """Retrieved, counted, deleted."""
    response = client.responses.create(model="mill", input="Hello")
    assert client.responses.retrieve(response.id) == response
    counted = client.responses.input_tokens.count(model="mill", input="Hello")
    assert counted.input_tokens == response.usage.input_tokens
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_tasks(url):
    """The client for asyncio, whole and streamed."""

    async def ask():
        async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
            whole = await client.responses.create(model="mill", input="Hello")
            stream = await client.responses.create(model="mill", input="Hello", stream=True)
            return whole, [strictly(EVENT, event) async for event in stream]

    whole, found = asyncio.run(ask())
    assert whole.output_text == found[-1].response.output_text == "By water."


def test_errors(client):
    """A class of the client's before the headers; events of its types after."""
    with pytest.raises(openai.BadRequestError, match="truncation") as raised:
        client.responses.create(model="mill", input="Hello", truncation="auto")
    assert raised.value.param == "truncation"
    stream = client.responses.create(model="failing", input="Hello", stream=True)
    found = [strictly(EVENT, event) for event in stream]
    assert [event.type for event in found[-2:]] == ["error", "response.failed"]
    assert found[-2].code == "decode_failed"
    assert found[-1].response.error.code == "server_error"
