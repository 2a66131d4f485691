"""What is new from one reading of an answer to the next, and what chunks amount to."""

from __future__ import annotations

import pytest

from headrace import ChatChunk, ChatMessage, ChatParseError, ToolCall, ToolCallDelta
from headrace.streams.deltas import ChunkedMessage, MessageDeltas


def message(content="", reasoning="", *calls):
    """An assistant's message with calls given as (name, arguments)."""
    return ChatMessage(
        role="assistant",
        content=content,
        reasoning=reasoning,
        tool_calls=tuple(ToolCall(name=name, arguments=text) for name, text in calls),
    )


@pytest.fixture
def deltas():
    """Nothing was shown yet."""
    return MessageDeltas()


def test_only_what_is_new_is_shown(deltas):
    """Of the text and of the thoughts."""
    assert deltas.advance(message("", "a")) == ChatChunk(reasoning="a")
    assert deltas.advance(message("", "a")) is None
    assert deltas.advance(message("x", "ab")) == ChatChunk("x", "b")


def test_what_a_reading_takes_back_is_not_shown_twice(deltas):
    """Text that may become a tag comes and goes."""
    deltas.advance(message("ab"))
    assert deltas.advance(message("a")) is None
    assert deltas.advance(message("abc")) == ChatChunk("c")


def test_nothing_is_shown_of_a_reading_that_begins_differently(deltas):
    """Until one begins with what was shown again."""
    deltas.advance(message("ab"))
    assert deltas.advance(message("acd")) is None
    assert deltas.advance(message("abe")) == ChatChunk("e")


def test_a_call_is_shown_once_its_name_is_known(deltas):
    """A name grows while it is written; its arguments follow it."""
    assert deltas.advance(message("", "", ("ad", ""))) is None
    chunk = deltas.advance(message("", "", ("add", '{"a"')))
    assert chunk.tool_calls == (ToolCallDelta(0, "", "add", '{"a"'),)
    chunk = deltas.advance(message("", "", ("add", '{"a":1}'), ("sub", "")))
    assert chunk.tool_calls == (ToolCallDelta(0, arguments=":1}"),)
    chunk = deltas.finish(message("", "", ("add", '{"a":1}'), ("sub", "")), "")
    assert chunk.tool_calls == (ToolCallDelta(1, "", "sub"),)


def test_an_end_that_contradicts_what_was_shown_is_an_error(deltas):
    """Never silently another message than the one streamed."""
    deltas.advance(message("ab"))
    with pytest.raises(ChatParseError) as caught:
        deltas.finish(message("b"), "raw")
    assert caught.value.text == "raw"


def test_what_was_shown_before_is_not_shown_again():
    """Whoever showed it."""
    deltas = MessageDeltas(message("a", "b", ("add", "{")))
    chunk = deltas.finish(message("ax", "b", ("add", "{}")), "")
    assert chunk == ChatChunk("x", tool_calls=(ToolCallDelta(0, arguments="}"),))


def test_chunks_amount_to_a_message():
    """A call that begins without an id gets one, in its first chunk."""
    parts = ChunkedMessage(lambda index: f"id{index}")
    assert parts.add(ChatChunk("a", "b")) == ChatChunk("a", "b")
    begins = ChatChunk(tool_calls=(ToolCallDelta(0, "", "add", "{"), ToolCallDelta(1, "x", "sub")))
    assert [call.id for call in parts.add(begins).tool_calls] == ["id0", "x"]
    goes_on = ChatChunk("c", tool_calls=(ToolCallDelta(0, arguments="}"),))
    assert parts.add(goes_on) == goes_on
    assert parts.message == ChatMessage(
        role="assistant",
        content="ac",
        reasoning="b",
        tool_calls=(
            ToolCall(id="id0", name="add", arguments="{}"),
            ToolCall(id="x", name="sub", arguments=""),
        ),
    )
