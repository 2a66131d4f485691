"""A parser of answers, with a look at what it reads."""

from __future__ import annotations

from headrace.common.seam import Seam
from headrace.results.chat import ChatChunk, ChatMessage
from headrace.streams.parser import ChatParser


class CheckedParser:
    """A ``ChatParser`` that gives chunks and messages, or raises a typed error.

    Args:
        parser: What the backend renders a request with.
        seam: Names the backend.
    """

    def __init__(self, parser: ChatParser, seam: Seam) -> None:
        self.raw = parser
        self._seam = seam

    def feed(self, text: str) -> ChatChunk | None:
        """See ``ChatParser.feed``."""
        with self._seam.during("chat parser"):
            chunk = self.raw.feed(text)
        if chunk is not None and not isinstance(chunk, ChatChunk):
            raise self._seam.breach("chat parser", f"{chunk!r:.60} instead of a ChatChunk")
        return chunk

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser.parse``."""
        with self._seam.during("chat parser"):
            message = self.raw.parse(text, partial=partial)
        if not isinstance(message, ChatMessage):
            raise self._seam.breach("chat parser", f"{message!r:.60} instead of a ChatMessage")
        return message
