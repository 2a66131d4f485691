"""A rendered conversation, and what reads the answer to it."""

from __future__ import annotations

from typing import Protocol

import attrs

from headrace.grammar import Gbnf, Lazy
from headrace.results.chat import ChatMessage


class ChatParser(Protocol):
    """Reads the answers to one rendered request. One thread at a time.

    One that asks another process or machine has an ``async def aside(work)`` too: it calls
    ``work``, which parses, where that blocks no event loop.
    """

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """What the model wrote, as a message of the assistant's.

        A longer part of the same text gives a message that begins with that of the shorter
        part; ids of tool calls may be empty.

        Args:
            text: All of it so far.
            partial: Whether more may come.

        Raises:
            ChatParseError: If it is not in the format of the template.
        """
        ...


@attrs.frozen(kw_only=True)
class RenderedChat:
    """A request as the model sees it."""

    prompt: str
    """The text to run, without the special tokens that tokenizing adds by itself."""
    parser: ChatParser
    """Reads what the model writes next."""
    grammar: Gbnf | Lazy | None = None
    """What keeps the answer in the template's format."""
    stops: tuple[str, ...] = ()
    """Strings that end the answer."""
    spoken: tuple[str, ...] = ()
    """Texts of control tokens that belong to the answer: the parser needs to see them."""
