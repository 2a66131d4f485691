"""What the reader in the parent sees of each delta, and what that adds to a message.

The stream there assembles the text of the same pieces with the same stop strings, so that both
see the same chunks.
"""

from __future__ import annotations

import attrs

from headrace.errors import HeadraceError
from headrace.results import StopReason
from headrace.results.chat import ChatChunk
from headrace.streams.chat import ChatStream
from headrace.streams.ends import UNFINISHED
from headrace.streams.generation import Delta, Piece
from headrace.streams.reading import Reading
from headrace.streams.text import TextAssembler
from headrace.streams.tokens import TokenStream


class ReadAhead:
    """Assembles the text of a generation, and has it read where it answers a conversation.

    Args:
        stream: The generation's stream, which nobody reads.
        stop: Strings that end it.
    """

    def __init__(self, stream: TokenStream | ChatStream, stop: tuple[str, ...]) -> None:
        self._reading: Reading | None = None
        if isinstance(stream, ChatStream):
            self._reading = Reading(stream.rendered.parser)
            stop = (*stop, *stream.rendered.stops)
        self._idle = self._reading is None and not stop
        self._assembler: TextAssembler[Piece] = TextAssembler(stop, stream.generation.carry)
        self._texts: list[str] = []
        self.over = False
        """Whether nothing more will be seen."""

    def seen(self, delta: Delta) -> Delta:
        """A delta with what it adds to the message."""
        self.over = delta.end is not None
        if self._idle or delta.end in UNFINISHED:
            return delta
        for piece in delta.pieces:
            self._assembler.push(piece, piece.data)
        self.over = self.over or self._assembler.stopped
        text, _ = self._assembler.finish() if self.over else self._assembler.take()
        if self._reading is None:
            return delta
        self._texts.append(text)
        try:
            added = self._added(self._reading, text, delta.end)
        except HeadraceError as error:
            self.over = True
            return attrs.evolve(delta, added=error)
        return delta if added is None else attrs.evolve(delta, added=added)

    def _added(self, reading: Reading, text: str, end: StopReason | None) -> ChatChunk | None:
        if self._assembler.stopped:
            end = StopReason.STOP_STRING
        return reading.take(text) if end is None else reading.finish("".join(self._texts), end)
