"""Messages that come as structure beside the text, and streams whose reading fails."""

from __future__ import annotations

import anyio
import pytest

from headrace import (
    BackendProtocolError,
    ChatChunk,
    ChatMessage,
    ChatParseError,
    StopReason,
    TokenStream,
    ToolCall,
    ToolCallDelta,
)
from headrace.protocols import BegunChat, Delta, NoParser, Piece, PlainTextParser, RenderedChat
from headrace.streams.chat import ChatStream
from tests.unit.test_stream import Script

CALL = ChatChunk(tool_calls=(ToolCallDelta(0, name="add", arguments="{"),))
GOES_ON = ChatChunk(tool_calls=(ToolCallDelta(0, arguments="}"),))


def delta(text="", added=None, end=None):
    """Of one piece, if it has any text."""
    return Delta((Piece(None, text.encode()),) if text else (), end, added=added)


def chat(*deltas, parser=None, stop=()):
    """A stream over a generation that follows a script."""
    rendered = RenderedChat(prompt="Hi", parser=parser or NoParser())
    return ChatStream(TokenStream(Script(*deltas), stop=stop), BegunChat(rendered))


def test_calls_may_come_beside_text():
    """As a service tells of them; an id is made where there is none."""
    stream = chat(
        delta("Let me "),
        delta("see.", CALL),
        delta("", GOES_ON),
        delta("", None, StopReason.EOG),
        parser=PlainTextParser(),
    )
    chunks = list(stream)
    assert [chunk.content for chunk in chunks] == ["Let me ", "see.", ""]
    (call,) = stream.result.message.tool_calls
    assert call == ToolCall(id=chunks[1].tool_calls[0].id, name="add", arguments="{}")
    assert len(call.id) == 9
    assert stream.result.message.content == stream.result.text == "Let me see."
    assert stream.result.finish_reason == "tool_calls"


@pytest.mark.parametrize("how", ["loop", "task"])
def test_all_may_come_as_structure(how):
    """The text is not read here then; the last delta may add something too."""
    stream = chat(
        delta("<t>a</t>", ChatChunk(reasoning="a")),
        delta("b"),
        delta("", ChatChunk("b"), StopReason.EOG),
    )

    async def read():
        return [chunk async for chunk in stream]

    chunks = list(stream) if how == "loop" else anyio.run(read)
    assert chunks == [ChatChunk(reasoning="a"), ChatChunk("b")]
    assert stream.result.message == ChatMessage(role="assistant", content="b", reasoning="a")
    assert stream.result.text == "<t>a</t>b"


def test_what_is_added_waits_for_no_text():
    """A piece that is half a character, or may be a stop string, holds back no call."""
    stream = chat(
        Delta((Piece(None, b"\xc3"),), added=CALL),
        Delta((Piece(None, b"\xa9"),), StopReason.EOG, added=ChatChunk("é")),
    )
    assert next(stream).tool_calls[0].name == "add"
    assert next(stream) == ChatChunk("é")


def test_what_a_cancelled_stream_refuses_is_not_in_its_message():
    """Neither as text nor as a message."""
    stream = chat(delta("a", ChatChunk("a")), delta("b", ChatChunk("b")))
    assert next(stream) == ChatChunk("a")
    stream.cancel()
    assert list(stream) == []
    assert (stream.result.text, stream.result.message.content) == ("a", "a")


def test_an_answer_that_the_backend_cannot_read_is_an_error():
    """Raised by the loop, and by the result."""
    stream = chat(delta("a", ChatChunk("a")), delta("?", ChatParseError("no"), StopReason.EOG))
    assert next(stream) == ChatChunk("a")
    for _ in range(2):
        with pytest.raises(ChatParseError, match="no"):
            next(stream)
    with pytest.raises(ChatParseError, match="no"):
        _ = stream.result


class Failing(PlainTextParser):
    """Cannot go on after the first chunk."""

    def feed(self, text):
        """As a defect of a backend would."""
        if text != "a":
            raise self.error
        return super().feed(text)


@pytest.mark.parametrize("error", [BackendProtocolError("broken"), KeyboardInterrupt()])
def test_a_reading_that_fails_ends_the_stream(error):
    """What was shown before is the message; only an interrupt is none of the result's business."""
    parser = Failing()
    parser.error = error
    stream = chat(delta("a"), delta("b"), delta("c"), parser=parser)
    assert next(stream) == ChatChunk("a")
    with pytest.raises(type(error)):
        next(stream)
    assert stream.generation.interrupted is StopReason.CANCELLED
    if isinstance(error, KeyboardInterrupt):
        assert list(stream) == []
        assert stream.result.message.content == "a"
    else:
        with pytest.raises(type(error)):
            _ = stream.result


def test_what_is_no_chunk_is_a_broken_protocol():
    """Told where it comes in."""
    with pytest.raises(BackendProtocolError, match="instead of a ChatChunk"):
        list(chat(delta("a", "not a chunk", StopReason.EOG)))
