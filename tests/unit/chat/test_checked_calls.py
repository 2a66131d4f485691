"""Answers whose calls tell whether their arguments are valid."""

from __future__ import annotations

import anyio
import pytest

import headrace
from headrace import ChatMessage, StopReason, Tool, ToolCall
from headrace.streams.reading import checked_calls

ADD = {
    "name": "add",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}
HI = [{"role": "user", "content": "Hi"}]
GOOD = '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'
BAD = '<tool_call>{"name": "add", "arguments": {"a": "1"}}</tool_call>'


def answer(script, **settings):
    """What the fake says."""
    with headrace.load_model(f"fake:{script}") as model, model.open_session() as session:
        return session.complete_chat(HI, tools=[ADD], **settings).message


def test_a_valid_call_says_so_and_an_invalid_one_where():
    """Each of them."""
    first, second = answer(GOOD + BAD).tool_calls
    assert first.valid
    assert second.valid is False
    assert [problem.path for problem in second.problems] == ["#", "#/a"]


def test_a_call_of_another_tool_is_not_valid():
    """Models make names up."""
    (call,) = answer('<tool_call>{"name": "sub", "arguments": {}}</tool_call>').tool_calls
    assert "there is no tool 'sub'" in call.problems[0].message


@pytest.mark.parametrize("how", ["loop", "task"])
def test_streams_tell_at_their_end(how):
    """Read by a loop, and by a task."""
    with headrace.load_model(f"fake:{BAD}") as model, model.open_session() as session:
        if how == "loop":
            with session.chat(HI, tools=[ADD]) as stream:
                list(stream)
        else:

            async def read():
                async with await session.achat(HI, tools=[ADD]) as stream:
                    async for _ in stream:
                        pass
                return stream

            stream = anyio.run(read)
        (call,) = stream.result.message.tool_calls
    assert call.valid is False


def test_an_answer_goes_back_into_the_conversation():
    """With its problems, which are nothing of the conversation's."""
    message = answer(BAD)
    again = [*HI, message, {"role": "tool", "tool_call_id": "x", "content": "no"}]
    with headrace.load_model("fake:ok") as model, model.open_session() as session:
        assert session.complete_chat(again, tools=[ADD]).message.content == "ok"
    assert message.tool_calls[0] == ToolCall(
        id=message.tool_calls[0].id, name="add", arguments='{"a": "1"}'
    )


def test_a_call_that_is_cut_off_is_not_judged():
    """By the end of the text; what is whole is."""
    tools = (Tool(**ADD),)
    whole = ToolCall(name="add", arguments='{"a": 1, "b": 2}')
    cut = ToolCall(name="add", arguments='{"a": 1, "b"')
    message = ChatMessage(role="assistant", tool_calls=(whole, cut))
    found = checked_calls(message, tools, StopReason.MAX_TOKENS)
    assert [call.valid for call in found.tool_calls] == [True, None]
    found = checked_calls(message, tools, StopReason.EOG)
    assert [call.valid for call in found.tool_calls] == [True, False]
    found = checked_calls(
        ChatMessage(role="assistant", tool_calls=(whole,)), tools, StopReason.MAX_TOKENS
    )
    assert [call.valid for call in found.tool_calls] == [True]
