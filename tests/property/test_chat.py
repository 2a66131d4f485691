"""Answers of the fake's format, cut anywhere."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from headrace import ChatMessage, ChatParseError, ToolCall
from headrace.streams.deltas import MessageDeltas
from headrace_fake.chat import FakeChatParser

TEXTS = st.text(st.sampled_from("ab <>/\ntool_calthink{}é"), max_size=30)
PLAIN = TEXTS.filter(lambda text: "<tool_call>" not in text and not text.startswith("<think>"))
CALLS = st.lists(
    st.tuples(st.text(min_size=1, max_size=5), st.dictionaries(st.text(max_size=3), TEXTS)),
    max_size=3,
)


@given(
    thoughts=TEXTS.filter(lambda text: "</think>" not in text),
    content=PLAIN,
    calls=CALLS,
    cuts=st.lists(st.integers(0, 200), max_size=12),
)
def test_the_chunks_are_the_message_wherever_it_is_cut(thoughts, content, calls, cuts):
    """And the message is what was written."""
    text = f"<think>{thoughts}</think>" if thoughts else ""
    text += content
    for name, arguments in calls:
        written = json.dumps({"name": name, "arguments": arguments}).replace("<", "\\u003c")
        text += f"<tool_call>{written}</tool_call>"
    parser = FakeChatParser(calls=True)
    deltas = MessageDeltas(str)
    chunks = [
        deltas.advance(parser.parse(text[:cut], partial=True))
        for cut in sorted(cuts)
        if cut <= len(text)
    ]
    whole, last = deltas.finish(parser.parse(text, partial=False), text)
    assert (whole.reasoning, whole.content) == (thoughts, content)
    assert [(call.name, call.parsed()) for call in whole.tool_calls] == calls
    shown = [chunk for chunk in [*chunks, last] if chunk is not None]
    assert "".join(chunk.reasoning for chunk in shown) == thoughts
    assert "".join(chunk.content for chunk in shown) == content
    assert [delta.name for chunk in shown for delta in chunk.tool_calls if delta.name] == [
        call.name for call in whole.tool_calls
    ]


@given(readings=st.lists(st.tuples(TEXTS, TEXTS, st.lists(TEXTS, max_size=2)), max_size=6))
def test_no_parser_can_make_the_chunks_differ_from_the_message(readings):
    """Whatever it reads, in whatever order: either they agree, or there is an error."""
    deltas = MessageDeltas(str)
    messages = [
        ChatMessage(
            role="assistant",
            content=content,
            reasoning=reasoning,
            tool_calls=tuple(ToolCall(name="f", arguments=text) for text in calls),
        )
        for content, reasoning, calls in [*readings, ("end", "", [])]
    ]
    shown = [deltas.advance(message) for message in messages[:-1]]
    try:
        whole, last = deltas.finish(messages[-1], "")
    except ChatParseError:
        return
    shown = [chunk for chunk in [*shown, last] if chunk is not None]
    assert "".join(chunk.content for chunk in shown) == whole.content
    assert "".join(chunk.reasoning for chunk in shown) == whole.reasoning
    assert not any(chunk.tool_calls for chunk in shown)
