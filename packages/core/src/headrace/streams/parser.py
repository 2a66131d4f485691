"""A rendered conversation, and what reads the answer to it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

import attrs

from headrace.errors import ChatParseError
from headrace.results.chat import ChatChunk, ChatMessage
from headrace.streams.deltas import MessageDeltas

if TYPE_CHECKING:
    from headrace.grammar import Grammar

_SHORT = 4096
"""Characters of an answer that is read anew at each chunk."""
_SHARE = 0.1
"""Most of the time since an answer began that goes into reading it anew."""


class ChatParser(Protocol):
    """Reads the answer to one rendered request. One thread at a time."""

    def feed(self, text: str) -> ChatChunk | None:
        """What more text adds to the message; None if nothing that is certain yet.

        Text out of the template's format is no error here, since more may make a message of
        it. Ids of tool calls may be empty.

        Args:
            text: What follows all that was fed before.
        """
        ...

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """What the model wrote, as a message of the assistant's; apart from what was fed.

        An answer that was fed piece by piece is read so once more at its end: the message
        begins with all that ``feed`` gave of it.

        Args:
            text: All of it.
            partial: Whether it was cut short.

        Raises:
            ChatParseError: If it is not in the format of the template.
        """
        ...


class WholeTextParser(ABC):
    """A ``ChatParser`` that begins anew to see what more text adds.

    That takes the longer, the longer the answer is. One of up to 4096 characters is read anew at
    each chunk; beyond, reading takes a tenth of the time since the answer began at most: where
    text comes faster than that, it is held back as long as about ten readings take.
    """

    _clock = staticmethod(time.perf_counter)

    def __init__(self) -> None:
        self._text = ""
        self._deltas = MessageDeltas()
        self._began = 0.0
        self._spent = 0.0

    @abstractmethod
    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser.parse``. A longer part of a text begins with what a shorter one is."""

    def feed(self, text: str) -> ChatChunk | None:
        """See ``ChatParser.feed``."""
        now = self._clock()
        if not self._text:
            self._began = now
        self._text += text
        if len(self._text) > _SHORT and self._spent > _SHARE * (now - self._began):
            return None
        try:
            reading = self.parse(self._text, partial=True)
        except ChatParseError:
            return None
        finally:
            self._spent += self._clock() - now
        return self._deltas.advance(reading)


class PlainTextParser:
    """A ``ChatParser`` of a format in which all is text."""

    def feed(self, text: str) -> ChatChunk | None:
        """See ``ChatParser.feed``."""
        return ChatChunk(text)

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser.parse``."""
        return ChatMessage(role="assistant", content=text)


class NoParser:
    """A ``ChatParser`` beside deltas that bring all that they add to the message."""

    def feed(self, text: str) -> ChatChunk | None:
        """See ``ChatParser.feed``."""
        return None

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser.parse``."""
        return ChatMessage(role="assistant")


@attrs.frozen(kw_only=True)
class RenderedChat:
    """A request as the model sees it."""

    prompt: str
    """The text to run, without the special tokens that tokenizing adds by itself."""
    parser: ChatParser
    """Reads what the model writes next."""
    grammar: Grammar | None = None
    """What keeps the answer in the template's format."""
    stops: tuple[str, ...] = ()
    """Strings that end the answer."""
    spoken: tuple[str, ...] = ()
    """Texts of control tokens that belong to the answer: the parser needs to see them."""
    plain: tuple[tuple[int, int], ...] = ()
    """Where the prompt is read without control tokens, each place with its end: a message has text
    there that would be one."""
