"""Deltas as plain lists and back: there is one for every token."""

from __future__ import annotations

from typing import Any

from headrace.errors import HeadraceError
from headrace.results import StopReason
from headrace.results.chat import ChatChunk, ToolCallDelta
from headrace.streams.generation import Delta, Piece

_CALL_TYPES = [int, str, str, str]


def packed(delta: Delta) -> list[Any]:
    """A delta for the codec."""
    end = None if delta.end is None else delta.end.value
    pieces = [
        [piece.token, piece.data]
        if piece.logprob is None
        else [piece.token, piece.data, piece.logprob]
        for piece in delta.pieces
    ]
    return [pieces, end, delta.stop_string, _packed_added(delta.added)]


def _packed_added(added: ChatChunk | HeadraceError | None) -> Any:
    if added is None or isinstance(added, HeadraceError):
        return added
    calls = [[call.index, call.id, call.name, call.arguments] for call in added.tool_calls]
    return [added.content, added.reasoning, calls, added.unread]


def unpacked(pieces: Any, end: Any, stop_string: Any, added: Any) -> Delta:
    """The delta again.

    Raises:
        TypeError, ValueError: If it is none.
    """
    made = tuple(Piece(*fields) for fields in pieces)
    for piece in made:
        memoryview(piece.data)
    if not (stop_string is None or isinstance(stop_string, str)):
        raise TypeError("the stop string is none")
    return Delta(
        made,
        None if end is None else StopReason(end),
        stop_string,
        added=_unpacked_added(added),
    )


def _unpacked_added(added: Any) -> ChatChunk | HeadraceError | None:
    if added is None or isinstance(added, HeadraceError):
        return added
    content, reasoning, calls, unread = added
    told = [content, reasoning, unread, *(field for call in calls for field in call)]
    if [type(field) for field in told] != [str, str, bool, *_CALL_TYPES * len(calls)]:
        raise TypeError("what is added is no chunk")
    return ChatChunk(content, reasoning, tuple(ToolCallDelta(*call) for call in calls), unread)
