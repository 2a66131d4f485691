"""A parser of answers, with a look at the messages it reads."""

from __future__ import annotations

from headrace.common.seam import Seam
from headrace.results.chat import ChatMessage
from headrace.streams.parser import ChatParser


class CheckedParser:
    """A ``ChatParser`` that gives messages, or raises a typed error.

    Args:
        parser: What the backend renders a request with.
        seam: Names the backend.
    """

    def __init__(self, parser: ChatParser, seam: Seam) -> None:
        self.raw = parser
        self._seam = seam

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser.parse``."""
        with self._seam.during("chat parser"):
            message = self.raw.parse(text, partial=partial)
        if not isinstance(message, ChatMessage):
            raise self._seam.breach("chat parser", f"{message!r:.60} instead of a ChatMessage")
        return message
