"""An answer as a message, chunk by chunk: in this process, or in the one where the model is."""

from __future__ import annotations

from headrace.errors import ChatParseError
from headrace.results import StopReason
from headrace.results.chat import ChatChunk
from headrace.streams.deltas import ChunkedMessage, MessageDeltas
from headrace.streams.parser import ChatParser

WHOLE = (StopReason.EOG, StopReason.STOP_STRING)
"""Ends at which the model has written all it wanted to."""
UNFINISHED = (StopReason.CANCELLED, StopReason.TIMED_OUT)
"""Ends at which what was not shown yet is not shown any more."""


class Reading:
    """Has a parser read an answer, and sees that its chunks are the message.

    Args:
        parser: Reads this answer and no other.
    """

    def __init__(self, parser: ChatParser) -> None:
        self._parser = parser
        self._shown = ChunkedMessage()

    def take(self, text: str) -> ChatChunk | None:
        """What a chunk of text adds to the message, unless it is the last."""
        chunk = self._parser.feed(text) if text else None
        return self._noted(chunk)

    def finish(self, text: str, end: StopReason) -> ChatChunk | None:
        """What the last chunk adds, and all that was held back.

        Args:
            text: The whole answer.
            end: Why it ended; one that was cut short is read as far as it goes.

        Raises:
            ChatParseError: If it is not in the format of the template.
        """
        if end in UNFINISHED:
            return None
        try:
            message = self._parser.parse(text, partial=end not in WHOLE)
        except ChatParseError:
            if end in WHOLE:
                raise
            return None
        return self._noted(MessageDeltas(self._shown.message).finish(message, text))

    def _noted(self, chunk: ChatChunk | None) -> ChatChunk | None:
        return None if chunk is None else self._shown.add(chunk)
