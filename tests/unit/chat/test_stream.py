"""Answers of the fake, read as messages."""

from __future__ import annotations

import json

import anyio
import pytest

import headrace
from headrace import (
    BusyError,
    ChatMessage,
    ChatParseError,
    StopReason,
    StreamConsumedError,
    Tool,
    UnsupportedError,
)
from headrace_fake import FakeBackend

HI = [{"role": "user", "content": "Hi"}]
ADD = Tool(name="add", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})
CALLS = (
    "<think>One and one.</think>Let me see."
    '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
    '<tool_call>{"name": "add", "arguments": {"a": 2}}</tool_call>'
)


@pytest.fixture
def open_session():
    """Sessions of a fake that writes a script."""
    models = []

    def open_(script, **options):
        model = headrace.load_model("fake:", backend=FakeBackend(script=script, **options))
        models.append(model)
        return model.open_session()

    yield open_
    for model in models:
        model.close()


def joined(chunks):
    """The message that chunks amount to."""
    calls = {}
    for delta in (delta for chunk in chunks for delta in chunk.tool_calls):
        call = calls.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
        for field in call:
            call[field] += getattr(delta, field)
    return ChatMessage(
        role="assistant",
        content="".join(chunk.content for chunk in chunks),
        reasoning="".join(chunk.reasoning for chunk in chunks),
        tool_calls=tuple(headrace.ToolCall(**call) for call in calls.values()),
        unread=any(chunk.unread for chunk in chunks),
    )


def test_an_answer_with_thoughts_and_calls(open_session):
    """The chunks add up to the result's message."""
    stream = open_session(CALLS).chat(HI, tools=[ADD])
    chunks = list(stream)
    done = stream.result
    assert done.message == joined(chunks)
    assert done.message.reasoning == "One and one."
    assert done.message.content == "Let me see."
    assert [call.parsed() for call in done.message.tool_calls] == [{"a": 1}, {"a": 2}]
    assert len({call.id for call in done.message.tool_calls}) == 2
    assert done.finish_reason == "tool_calls"
    assert done.text == stream.text == CALLS
    with pytest.raises(StreamConsumedError):
        iter(stream)


def test_the_ids_of_calls_are_those_of_the_conversation(open_session):
    """The same request gives the same ids, another one others."""

    def ids(content):
        session = open_session(CALLS)
        done = session.complete_chat([{"role": "user", "content": content}], tools=[ADD])
        return [call.id for call in done.message.tool_calls]

    assert ids("Hi") == ids("Hi") != ids("Ho")


def test_without_tools_all_is_text(open_session):
    """A model that writes a call without having been offered one."""
    done = open_session("<tool_call>x").complete_chat(HI)
    assert done.message.content == "<tool_call>x"
    assert done.finish_reason == "stop"


@pytest.mark.parametrize(
    "text",
    ["<tool_call>{]</tool_call>", "Well. <tool_call>add(1)", "<tool_call>1</tool_call> and so on"],
)
def test_what_cannot_be_read_is_content_and_said_to_be_unread(open_session, text):
    """By the last chunk, and by the result; the session goes on."""
    session = open_session(text)
    with session.chat(HI, tools=[ADD]) as stream:
        chunks = list(stream)
    assert [chunk.unread for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    done = stream.result
    assert joined(chunks) == done.message
    assert (done.message.content, done.unread, done.finish_reason) == (text, True, "stop")
    assert not session.complete_chat(HI).unread


def test_a_good_call_before_one_that_cannot_be_read_stays(open_session):
    """Both are in the message: the one as a call, the other as text."""
    good = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
    done = open_session(f"{good}<tool_call>x</tool_call>").complete_chat(HI, tools=[ADD])
    assert [call.valid for call in done.message.tool_calls] == [True]
    assert done.message.content.endswith("<tool_call>x</tool_call>")
    assert done.unread


def test_half_an_answer_is_read_as_far_as_it_goes(open_session):
    """At ``max_tokens``, inside a call."""
    done = open_session(CALLS).complete_chat(HI, tools=[ADD], max_tokens=CALLS.index("{") + 3)
    assert done.finish_reason == "length"
    assert done.message == ChatMessage(
        role="assistant", reasoning="One and one.", content="Let me see."
    )


def test_a_cancelled_answer_has_what_was_delivered(open_session):
    """And no more comes."""
    session = open_session("Hello world")
    stream = session.chat(HI)
    first = next(stream)
    with pytest.raises(BusyError):
        _ = stream.result
    stream.cancel()
    assert list(stream) == []
    assert stream.result.message.content == first.content == "H"
    assert stream.result.finish_reason == "cancelled"


def test_leaving_the_block_ends_the_answer(open_session):
    """As with any stream."""
    session = open_session("Hello world")
    with session.chat(HI) as stream:
        next(stream)
    assert stream.result.stop_reason is StopReason.CANCELLED
    assert stream.statistics().delivered_tokens == 1


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_a_task_reads_the_same(open_session, library):
    """Under asyncio and trio."""
    session = open_session(CALLS)

    async def read():
        async with session.chat(HI, tools=[ADD]) as stream:
            chunks = [chunk async for chunk in stream]
        assert joined(chunks) == stream.result.message
        return await session.acomplete_chat(HI, tools=[ADD])

    assert anyio.run(read, backend=library).message.content == "Let me see."


def test_stop_strings_end_an_answer(open_session):
    """They are the caller's, of the raw text."""
    done = open_session("One. Two.").complete_chat(HI, stop=".")
    assert done.message.content == "One"
    assert done.stop_reason is StopReason.STOP_STRING
    assert done.finish_reason == "stop"


def test_the_arguments_of_a_call_may_be_no_json():
    """Only the caller knows what to do then."""
    for text in ("{", "[1]"):
        with pytest.raises(ChatParseError) as caught:
            headrace.ToolCall(name="f", arguments=text).parsed()
        assert caught.value.text == text


def test_tools_beside_a_response_format_are_refused(open_session):
    """With what to leave out; beside tools that are only shown it is kept to."""
    tools = [{"name": "f"}]
    session = open_session('{"a": 1}')
    with pytest.raises(UnsupportedError, match="Leave out one of them"):
        session.chat(HI, tools=tools, response_format="json_object")
    done = session.complete_chat(HI, tools=tools, tool_choice="none", response_format="json_object")
    assert done.message.content == '{"a": 1}'


def test_a_response_format_is_kept_to(open_session):
    """A script that satisfies it is written, any other is not."""
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    for script in ('{"a":true}', "no JSON"):
        done = open_session(script).complete_chat(HI, response_format=wanted)
        found = json.loads(done.message.content)
        assert isinstance(found["a"], bool)
        assert (done.message.content == script) is (script != "no JSON")


def test_the_fake_says_that_it_has_no_templates(open_session):
    """Rather than to render one wrongly."""
    with pytest.raises(UnsupportedError, match="renders no templates"):
        open_session("x").chat(HI, template="{{ messages }}")


def test_the_fakes_rendering_is_what_its_readme_says(open_session):
    """Lines of role and content."""
    rendered = open_session("x")._model.render_chat(
        [*HI, {"role": "assistant", "content": "Ho"}, {"role": "user", "content": "?"}],
        tools=[ADD],
    )
    tools = json.dumps([{"name": "add", "parameters": ADD.parameters}])
    assert rendered.prompt == (
        f"tools: {tools}<eos>\nuser: Hi<eos>\nassistant: Ho<eos>\nuser: ?<eos>\nassistant: "
    )


def test_a_conversation_that_does_not_fit_leaves_the_history(open_session):
    """It is refused before anything is forgotten."""
    session = open_session("Hello", n_ctx=64)
    session.complete_chat(HI)
    before = session.tokens
    with pytest.raises(headrace.ContextFullError, match="the conversation does not fit"):
        session.chat([{"role": "user", "content": "x" * 100}])
    assert session.tokens == before
