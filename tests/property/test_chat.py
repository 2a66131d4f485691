"""Answers cut anywhere."""

from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from headrace import ChatMessage, ChatParseError, StopReason, ToolCall
from headrace.streams.deltas import ChunkedMessage, MessageDeltas
from headrace.streams.parser import WholeTextParser
from headrace.streams.reading import Reading
from headrace_fake.chat import FakeChatParser

TEXTS = st.text(st.sampled_from("ab <>/\ntool_calthink{}é"), max_size=30)
PLAIN = TEXTS.filter(lambda text: "<tool_call>" not in text and not text.startswith("<think>"))
CALLS = st.lists(
    st.tuples(st.text(min_size=1, max_size=5), st.dictionaries(st.text(max_size=3), TEXTS)),
    max_size=3,
)
CUTS = st.lists(st.integers(0, 200), max_size=12)
TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>", '{"name": "f", "arguments": {}}']
PIECES = st.lists(st.sampled_from([*TAGS, '{"name": "", "arguments": 1}', "x ", "<to", "{"]))


class Anew(WholeTextParser):
    """The fake's format, read from the beginning each time."""

    def parse(self, text, *, partial):
        """As the fake does at the end."""
        return FakeChatParser(calls=True).parse(text, partial=partial)


def cut(text, cuts):
    """The parts of a text."""
    ends = [0, *sorted(each for each in cuts if each <= len(text)), len(text)]
    return [text[begin:end] for begin, end in itertools.pairwise(ends)]


def message_of(chunks):
    """What they amount to."""
    message = ChunkedMessage()
    for chunk in chunks:
        if chunk is not None:
            message.add(chunk)
    return message.message


@given(
    thoughts=TEXTS.filter(lambda text: "</think>" not in text),
    content=PLAIN,
    calls=CALLS,
    cuts=CUTS,
)
def test_the_chunks_are_the_message_wherever_it_is_cut(thoughts, content, calls, cuts):
    """And the message is what was written."""
    text = f"<think>{thoughts}</think>" if thoughts else ""
    text += content
    for name, arguments in calls:
        written = json.dumps({"name": name, "arguments": arguments}).replace("<", "\\u003c")
        text += f"<tool_call>{written}</tool_call>"
    parser = FakeChatParser(calls=True)
    reading = Reading(parser)
    chunks = [reading.take(part) for part in cut(text, cuts)]
    chunks.append(reading.finish(text, StopReason.EOG))
    assert message_of(chunks) == parser.parse(text, partial=False)
    assert (message_of(chunks).reasoning, message_of(chunks).content) == (thoughts, content)
    assert [(call.name, call.parsed()) for call in message_of(chunks).tool_calls] == calls


@given(pieces=PIECES, cuts=CUTS, end=st.sampled_from(StopReason))
def test_reading_on_shows_what_reading_anew_shows(pieces, cuts, end):
    """Chunk by chunk; of what is out of the format it may show more of the beginning."""
    text = "".join(pieces)
    on, anew = (
        shown_of(parser, text, cuts, end) for parser in (FakeChatParser(calls=True), Anew())
    )
    try:
        Anew().parse(text, partial=True)
    except ChatParseError:
        assert getattr(on[-1], "unread", None) == getattr(anew[-1], "unread", None)
        assert message_of(on[:-1]).content.startswith(message_of(anew[:-1]).content)
    else:
        assert on == anew


def shown_of(parser, text, cuts, end):
    """The chunks, and what is wrong in the end."""
    reading = Reading(parser)
    shown = [reading.take(part) for part in cut(text, cuts)]
    try:
        return [*shown, reading.finish(text, end)]
    except ChatParseError as error:
        return [*shown, error.message]


@given(readings=st.lists(st.tuples(TEXTS, TEXTS, st.lists(TEXTS, max_size=2)), max_size=6))
def test_no_parser_can_make_the_chunks_differ_from_the_message(readings):
    """Whatever it reads, in whatever order: either they agree, or there is an error."""
    deltas = MessageDeltas()
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
        shown.append(deltas.finish(messages[-1], ""))
    except ChatParseError:
        return
    assert message_of(shown) == messages[-1]
