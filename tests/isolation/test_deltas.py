"""What crosses for each token."""

from __future__ import annotations

import pytest

from headrace import ChatChunk, ChatParseError, StopReason, TokenLogprob, ToolCallDelta
from headrace.protocols import Delta, Piece
from headrace_subprocess.codec import pack, unpack
from headrace_subprocess.deltas import packed, unpacked

CHUNK = ChatChunk("a", "b", (ToolCallDelta(0, "i", "f", "{"), ToolCallDelta(1)))


@pytest.mark.parametrize(
    "delta",
    [
        Delta((Piece(1, b"\xc3"), Piece(None, b""))),
        Delta((Piece(1, b"a", TokenLogprob(1, -0.5)),), StopReason.EOG),
        Delta((), None, added=CHUNK),
        Delta((Piece(1, b"a"),), StopReason.STOP_STRING, "x", added=ChatChunk("é")),
    ],
)
def test_a_delta_comes_out_as_it_went_in(delta):
    """All of it."""
    assert unpacked(*unpack(pack(packed(delta)))) == delta


def test_why_an_answer_cannot_be_read_comes_out():
    """With the text."""
    delta = unpacked(*unpack(pack(packed(Delta(added=ChatParseError("no", text="x"))))))
    assert isinstance(delta.added, ChatParseError)
    assert (delta.added.message, delta.added.text) == ("no", "x")


@pytest.mark.parametrize(
    "value",
    [
        [],
        [None, None, None, None],
        [[[1, "text"]], None, None, None],
        [[], "no reason", None, None],
        [[], None, 1, None],
        [[], None, None, "x"],
        [[], None, None, ["a", 1, []]],
        [[], None, None, ["a", "b", [[0, "i", "f"]]]],
        [[], None, None, ["a", "b", [["0", "i", "f", "{"]]]],
        [[], None, None, ["a", "b", [[True, "i", "f", "{"]]]],
        [[], None, None, None, None],
    ],
)
def test_what_is_no_delta_is_refused(value):
    """It may have been made by a model file that took the child over."""
    with pytest.raises((TypeError, ValueError)):
        unpacked(*value)
