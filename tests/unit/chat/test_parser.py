"""Parsers of answers: what they show when, and how often they begin anew."""

from __future__ import annotations

import itertools

import pytest

from headrace import ChatChunk, ChatMessage, ChatParseError, StopReason, ToolCall
from headrace.protocols import NoParser, PlainTextParser, WholeTextParser
from headrace.streams.deltas import ChunkedMessage
from headrace.streams.reading import Reading

SHORT = 4096


class Shouting(WholeTextParser):
    """Reads capitals; ``?`` is out of the format. A reading takes a second."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.readings = 0

    def _clock(self):
        return self.now

    def parse(self, text, *, partial):
        """Hold back a trailing blank."""
        self.now += 1.0
        self.readings += 1
        if "?" in text:
            raise ChatParseError("no")
        return ChatMessage(role="assistant", content=text.rstrip().upper() if partial else text)


def test_a_short_answer_is_read_at_each_chunk():
    """However long that takes."""
    parser = Shouting()
    shown = [parser.feed(part) for part in ("a", "b ", "c")]
    assert shown == [ChatChunk("A"), ChatChunk("B"), ChatChunk(" C")]


def test_reading_a_long_answer_takes_a_tenth_of_its_time():
    """What comes faster is held back until a later chunk."""
    parser = Shouting()
    parser.feed("x" * (SHORT + 1))
    assert parser.readings == 1
    shown = []
    for _ in range(10):
        shown.append(parser.feed("y"))
        parser.now += 1.0
    assert shown[-1] == ChatChunk("Y" * 10)
    assert shown[:-1] == [None] * 9
    parser.now += 100.0
    assert [parser.feed("z") for _ in range(3)] == [ChatChunk("Z")] * 3


def test_the_end_shows_what_was_held_back():
    """All of it."""
    parser = PlainAnew()
    reading = Reading(parser)
    reading.take("x" * (SHORT + 1))
    parser.slow = True
    assert reading.take("y") is None
    rest = reading.finish("x" * (SHORT + 1) + "yz", StopReason.MAX_TOKENS)
    assert rest == ChatChunk("yz")


class PlainAnew(WholeTextParser):
    """Text only; once it is slow, no time is left to read."""

    slow = False

    def __init__(self):
        super().__init__()
        self._times = itertools.count()

    def _clock(self):
        return float(next(self._times)) if not self.slow else 0.0

    def parse(self, text, *, partial):
        """As it is."""
        return ChatMessage(role="assistant", content=text)


@pytest.mark.parametrize("end", [StopReason.CANCELLED, StopReason.TIMED_OUT])
def test_an_answer_that_was_broken_off_shows_nothing_more(end):
    """Its reader has left."""
    reading = Reading(Shouting())
    reading.take("a ")
    assert reading.finish("a ", end) is None


def test_text_out_of_the_format_is_content_at_the_end_only():
    """More might have made a message of it; cut short, it is read as far as it goes."""
    reading = Reading(Shouting())
    assert reading.take("A") == ChatChunk("A")
    assert reading.take("?") is None
    assert reading.finish("A?", StopReason.MAX_TOKENS) is None
    assert reading.finish("A?", StopReason.EOG) == ChatChunk("?", unread=True)


class Halting(Shouting):
    """Shows thoughts, text and a call; what follows a question mark cannot be read."""

    def parse(self, text, *, partial):
        """Up to there."""
        if "?" in text and not partial:
            raise ChatParseError("no")
        thoughts, text, call = [*text.partition("?")[0].split("|"), "", ""][:3]
        calls = (ToolCall(name="f", arguments=call),) if call else ()
        return ChatMessage(role="assistant", content=text, reasoning=thoughts, tool_calls=calls)


def test_what_was_shown_of_an_answer_stays_and_the_rest_is_content():
    """None of it is lost, and none is there twice."""
    reading, message = Reading(Halting()), ChunkedMessage()
    text = 'hm|Hello. |{"a": ?1}'
    for chunk in [*map(reading.take, text), reading.finish(text, StopReason.EOG)]:
        if chunk is not None:
            message.add(chunk)
    assert message.message == ChatMessage(
        role="assistant",
        content="Hello. ?1}",
        reasoning="hm",
        tool_calls=(ToolCall(name="f", arguments='{"a": '),),
        unread=True,
    )


def test_a_parser_that_contradicts_itself_is_told():
    """The chunks are the message, or there is an error."""
    reading = Reading(Shouting())
    reading.take("a")
    with pytest.raises(ChatParseError, match="reads differently"):
        reading.finish("a", StopReason.EOG)


def test_plain_text_and_nothing():
    """For formats that are text alone, and for whoever reads elsewhere."""
    assert PlainTextParser().feed("a") == ChatChunk("a")
    assert PlainTextParser().parse("a", partial=True).content == "a"
    assert NoParser().feed("a") is None
    assert NoParser().parse("a", partial=False) == ChatMessage(role="assistant")
