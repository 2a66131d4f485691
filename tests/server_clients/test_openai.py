"""OpenAI's own client over all of its endpoints, synchronous and not, every event validated.

The client turns what comes into its own types without checking it; here each answer and each event
is checked against them, and a field that they have no type for has to be one of ours.
"""

from __future__ import annotations

import asyncio
import inspect
import json

import openai
import pytest

from tests.server.asking import ADD, HELLO

CALL = '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
OURS = {"timings", "note", "unread", "reasoning_content", "n_prompt_tokens", "n_ctx"}
"""Fields of ours that OpenAI's types do not have."""


class Both:
    """One client, whose calls come back whole, whether it is synchronous or not.

    Args:
        url: The server's.
        kind: ``sync`` or ``async``.
    """

    def __init__(self, url, kind) -> None:
        self._url, self._kind = f"{url}/v1", kind

    def __call__(self, ask):
        """What ``ask(client)`` gives; a stream as the list of its events."""
        options = {"base_url": self._url, "api_key": "none", "max_retries": 0, "timeout": 60}
        if self._kind == "sync":
            with openai.OpenAI(**options) as client:
                found = ask(client)
                return list(found) if isinstance(found, openai.Stream) else found
        return asyncio.run(self._asked(ask, options))

    async def _asked(self, ask, options):
        async with openai.AsyncOpenAI(**options) as client:
            found = ask(client)
            found = await found if inspect.isawaitable(found) else found
            if isinstance(found, openai.AsyncStream):
                return [each async for each in found]
            if hasattr(found, "__aiter__"):
                return [each async for each in found]
            return found


@pytest.fixture(params=["sync", "async"])
def ask(request, url):
    """Asks a server that says hello."""
    return Both(url("fake:Hello world"), request.param)


@pytest.fixture
def ask_of(request, url):
    """Asks a server of one's own script."""
    return lambda script, kind: Both(url(f"fake:{script}"), kind)


def checked(value):
    """A value of the client's types that is as they say, with nothing unknown but ours."""
    if isinstance(value, list):
        return [checked(each) for each in value]
    again = type(value).model_validate_json(json.dumps(value.to_dict(mode="json")), strict=False)
    _check_extras(again)
    return value


def _check_extras(value) -> None:
    if isinstance(value, (list, tuple)):
        for each in value:
            _check_extras(each)
    if not hasattr(value, "model_extra"):
        return
    assert set(value.model_extra or {}) <= OURS, value.model_extra
    for name in type(value).model_fields:
        _check_extras(getattr(value, name))


def test_chat(ask):
    """A whole answer."""
    found = checked(ask(lambda c: c.chat.completions.create(model="m", messages=HELLO)))
    assert found.choices[0].message.content == "Hello world"
    assert found.choices[0].finish_reason == "stop"
    assert found.usage.total_tokens > 0


def test_chat_streamed(ask):
    """Every event is one of a chunk; the last one has the usage."""
    found = checked(
        ask(
            lambda c: c.chat.completions.create(
                model="m",
                messages=HELLO,
                stream=True,
                n=2,
                logprobs=True,
                top_logprobs=2,
                stream_options={"include_usage": True},
            )
        )
    )
    for index in (0, 1):
        choices = [x for each in found for x in each.choices if x.index == index]
        assert choices[0].delta.role == "assistant"
        assert "".join(each.delta.content or "" for each in choices) == "Hello world"
        assert choices[-1].finish_reason == "stop"
    assert found[-1].usage.completion_tokens > 0


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_tools(ask_of, kind):
    """Whole and streamed, with the result sent back."""
    ask = ask_of(f"Well.{CALL}", kind)
    found = checked(
        ask(lambda c: c.chat.completions.create(model="m", messages=HELLO, tools=[ADD]))
    )
    (call,) = found.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"a": 1, "b": 2}
    chunks = checked(
        ask(
            lambda c: c.chat.completions.create(model="m", messages=HELLO, tools=[ADD], stream=True)
        )
    )
    pieces = [p for each in chunks for x in each.choices for p in x.delta.tool_calls or ()]
    assert pieces[0].id
    assert json.loads("".join(p.function.arguments for p in pieces)) == {"a": 1, "b": 2}
    turns = [
        *HELLO,
        found.choices[0].message.to_dict(),
        {"role": "tool", "tool_call_id": call.id, "content": "3"},
    ]
    checked(ask(lambda c: c.chat.completions.create(model="m", messages=turns, tools=[ADD])))


def test_the_streaming_helper(url):
    """``chat.completions.stream`` puts the deltas together and finds nothing amiss."""
    client = openai.OpenAI(base_url=f"{url('fake:Hello world')}/v1", api_key="none")
    with client.chat.completions.stream(model="m", messages=HELLO) as stream:
        kinds = [event.type for event in stream]
        done = stream.get_final_completion()
    assert "content.delta" in kinds
    assert done.choices[0].message.content == "Hello world"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_parsed_answers(ask_of, kind):
    """``chat.completions.parse`` with a type of pydantic's."""
    import pydantic

    class Sum(pydantic.BaseModel):
        """An answer."""

        value: int

    ask = ask_of('{"value": 3}', kind)
    found = ask(lambda c: c.chat.completions.parse(model="m", messages=HELLO, response_format=Sum))
    assert found.choices[0].message.parsed == Sum(value=3)


def test_completions(ask):
    """Whole and streamed, with the classic lists."""
    checked(ask(lambda c: c.completions.create(model="m", prompt="Hi", logprobs=1)))
    # Not by its types: they know no token without a probability, which the first one is.
    found = ask(lambda c: c.completions.create(model="m", prompt="Hi", logprobs=1, echo=True))
    assert found.choices[0].text == "HiHello world"
    logprobs = found.choices[0].logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs)
    assert logprobs.token_logprobs[0] is None
    chunks = ask(
        lambda c: c.completions.create(
            model="m", prompt=["Hi", "Ho"], stream=True, stream_options={"include_usage": True}
        )
    )
    for each in chunks:  # their types know no chunk before the last, which has a finish reason
        _check_extras(each)
    for index in (0, 1):
        mine = [x for each in chunks for x in each.choices if x.index == index]
        assert "".join(each.text for each in mine) == "Hello world"


def test_embeddings(ask):
    """As numbers, and as the base64 that the client asks for by itself."""
    plain = checked(
        ask(lambda c: c.embeddings.create(model="m", input="Hi", encoding_format="float"))
    )
    coded = ask(lambda c: c.embeddings.create(model="m", input=["Hi"]))
    assert coded.data[0].embedding == pytest.approx(plain.data[0].embedding, rel=1e-6)


def test_models(ask):
    """Their list, and one of them."""
    found = ask(lambda c: c.models.list())
    models = found if isinstance(found, list) else list(found)
    assert models
    one = ask(lambda c: c.models.retrieve(models[0].id))
    assert one.id == models[0].id


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_errors_are_the_clients_own(ask_of, kind):
    """A refusal, a failure before the first text, and one in the middle."""
    ask = ask_of(f"Hello {kind}#fault_at=4", kind)  # steps are counted over all requests
    with pytest.raises(openai.BadRequestError) as caught:
        ask(lambda c: c.chat.completions.create(model="m", messages=HELLO, temperature=-1))
    assert caught.value.param == "temperature"
    with pytest.raises(openai.APIError) as failed:
        ask(lambda c: c.chat.completions.create(model="m", messages=HELLO, stream=True))
    assert failed.value.code == "decode_failed"


def test_what_is_too_long_has_its_code(ask):
    """And both numbers in the body."""
    long = [{"role": "user", "content": "x" * 10_000}]
    with pytest.raises(openai.BadRequestError) as caught:
        ask(lambda c: c.chat.completions.create(model="m", messages=long, stream=True))
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.body["n_ctx"] < caught.value.body["n_prompt_tokens"]
