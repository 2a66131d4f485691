"""``/v1/messages`` as events: all of them, in order, and none missing at the end."""

from __future__ import annotations

import json

import msgspec
import pytest

from headrace.results import Receipt, StopReason, Timings, Usage
from headrace.results.chat import (
    ChatChunk,
    ChatCompletion,
    ChatMessage,
    ToolCall,
    ToolCallDelta,
)
from headrace_server.endpoints.messages.writing import Writing
from headrace_server.wire import messages as wire
from tests.server.asking import kinds, named_events
from tests.server.test_messages import ADD, CALLING, HELLO


def streamed(client, **body):
    """The events of a message, each read as its struct and named as its type."""
    asked = {"messages": HELLO, "max_tokens": 500, "stream": True, **body}
    return named_events(client.post("/v1/messages", json=asked), wire.Event | wire.ErrorBody)


@pytest.fixture
def calling(serve):
    """The events of an answer with thoughts, text and two calls, and the same as a message."""
    with serve(CALLING).client() as client:
        asked = {"messages": HELLO, "max_tokens": 500, "tools": [ADD]}
        whole = client.post("/v1/messages", json=asked)
        message = msgspec.json.decode(whole.content, type=wire.Message)
        return streamed(client, tools=[ADD]), message


def test_every_step_is_an_event(calling):
    """From the first to the last; each block begins and ends."""
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    expected = ["message_start", "ping", *(block * 4), "message_delta", "message_stop"]
    assert kinds(calling[0]) == expected


def test_deltas_add_up_to_what_comes_without_a_stream(calling):
    """Block by block, with the kind of delta that each has."""
    found, message = calling
    deltas = [("thinking_delta", "thinking"), ("text_delta", "text")]
    deltas += [("input_json_delta", "partial_json")] * 2
    for at, block in enumerate(message.content):
        inside = [e for e in found if getattr(e, "index", None) == at]
        first, *middle, last = inside
        assert isinstance(first, wire.BlockStart)
        assert isinstance(last, wire.BlockStop)
        kind, field = deltas[at]
        if kind == "thinking_delta":
            assert middle.pop().delta == wire.SignatureDelta()
        assert {type(e.delta).__struct_config__.tag for e in middle} == {kind}
        text = "".join(getattr(e.delta, field) for e in middle)
        if isinstance(block, wire.ToolUse):
            assert first.content_block == wire.ToolUse(id=block.id, name=block.name)
            assert json.loads(text) == block.input
        else:
            assert text == getattr(block, field)


def test_the_end_tells_reason_and_tokens(calling):
    """The same that a message has."""
    found, message = calling
    start, end = found[0].message, found[-2]
    assert (start.content, start.stop_reason) == ([], None)
    assert end.delta.stop_reason == message.stop_reason == "tool_use"
    assert end.usage.output_tokens == message.usage.output_tokens
    counted = start.usage.input_tokens + start.usage.cache_read_input_tokens
    assert counted == end.usage.input_tokens + end.usage.cache_read_input_tokens > 0


@pytest.mark.parametrize(
    ("asked", "reason", "stop"),
    [
        ({"max_tokens": 4}, "max_tokens", None),
        ({"stop_sequences": ["ter"]}, "stop_sequence", "ter"),
    ],
)
def test_why_it_ended_is_told(serve, asked, reason, stop):
    """With the string that ended it."""
    with serve("fake:By water.").client() as client:
        found = streamed(client, **asked)
    assert (found[-2].delta.stop_reason, found[-2].delta.stop_sequence) == (reason, stop)
    assert kinds(found)[-1] == "message_stop"


def test_a_call_that_is_cut_is_no_call():
    """Streamed as it came; as a message it is text, because nobody may run it."""
    found = []
    message = wire.Message(model="mill")
    writing = Writing(message, (), found.append)
    writing.begin()
    writing.add(ChatChunk(tool_calls=(ToolCallDelta(0, "t1", "add", '{"a": '),)))
    call = ToolCall(id="t1", name="add", arguments='{"a": ')
    writing.finish(finished(tool_calls=(call,)), 0)
    assert kinds(found)[2:5] == ["content_block_start", "content_block_delta", "content_block_stop"]
    (block,) = message.content
    assert isinstance(block, wire.Text)
    assert (block.text, block.unread) == ('{"a": ', True)
    assert message.stop_reason == "max_tokens"


def finished(**message):
    """An answer that was cut."""
    return ChatCompletion(
        message=ChatMessage(role="assistant", **message),
        stop_reason=StopReason.MAX_TOKENS,
        text="",
        tokens=(),
        usage=Usage(),
        timings=Timings(),
        receipt=Receipt("fake", "", None, False, ""),
    )


def test_what_cannot_be_read_as_a_call_is_noted_at_the_end(serve):
    """Beside the reason."""
    with serve('fake:Well. <tool_call>{"name": add}</tool_call>').client() as client:
        found = streamed(client, tools=[ADD])
    assert found[-2].unread is True
    assert found[-2].note


def test_an_error_after_the_headers_is_an_event(serve):
    """In this interface's shape; nothing follows it."""
    with serve("fake:By water.#fault_at=5&fault=poisoned").client() as client:
        found = streamed(client)
    assert kinds(found)[-1] == "error"
    assert kinds(found)[0] == "message_start"
    assert found[-1].error.type == "api_error"
    assert found[-1].error.code == "decode_failed"


def test_an_error_before_the_headers_is_a_status(serve):
    """No event at all."""
    with serve("fake:By water.#fault_at=1&fault=poisoned").client() as client:
        answer = client.post(
            "/v1/messages", json={"messages": HELLO, "max_tokens": 5, "stream": True}
        )
    assert answer.status_code == 500
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "api_error"
