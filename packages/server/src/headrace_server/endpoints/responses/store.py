"""The last responses, so that a request can go on from one by its id.

They are kept in memory, for as long as there is room: the oldest leave first. Whoever has another
key does not find them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import attrs

from headrace import ChatMessage
from headrace_server.errors import ApiError
from headrace_server.wire.responses import Response

MOST = 1000
"""Responses that are kept."""
MOST_CHARACTERS = 32_000_000
"""Text of the conversations that are kept, each counted whole."""


@attrs.frozen
class Stored:
    """A response, and the conversation up to its end, without instructions."""

    owner: str | None
    response: Response
    messages: tuple[ChatMessage, ...]

    @property
    def size(self) -> int:
        """Characters of its text."""
        return sum(map(_size, self.messages))


def _size(message: ChatMessage) -> int:
    calls = sum(len(call.name) + len(call.arguments) for call in message.tool_calls)
    return len(message.content) + len(message.reasoning) + calls


class Store:
    """What is kept. For one event loop.

    Args:
        most: Responses.
        most_characters: Text of all of them.
    """

    def __init__(self, most: int = MOST, most_characters: int = MOST_CHARACTERS) -> None:
        self._most, self._most_characters = most, most_characters
        self._kept: OrderedDict[str, Stored] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, owner: str | None, response: Response, messages: Sequence[ChatMessage]) -> None:
        """Keep a response, and forget the oldest where there is no room.

        Args:
            owner: The key that asked.
            response: The response.
            messages: The conversation with the answer.
        """
        stored = Stored(owner, response, tuple(messages))
        self._kept[response.id] = stored
        self._size += stored.size
        while self._kept and (len(self._kept) > self._most or self._size > self._most_characters):
            self._forget(next(iter(self._kept)))

    def _forget(self, name: str) -> None:
        self._size -= self._kept.pop(name).size

    def find(self, owner: str | None, name: str, where: str, status: int = 400) -> Stored:
        """A response by its id.

        Args:
            owner: The key that asks.
            name: The id.
            where: What named it, for the error.
            status: Of the error.

        Raises:
            ApiError: If it is not kept.
        """
        stored = self._kept.get(name)
        if stored is None or stored.owner != owner:
            raise ApiError(
                status,
                "response_not_found",
                f"{where}: {name!r:.80} is not kept here; the last {self._most} responses with "
                '"store": true are, until the server ends. Send the whole conversation as input',
                param=where,
            )
        return stored

    def forget(self, owner: str | None, name: str) -> None:
        """Forget a response.

        Raises:
            ApiError: 404 if it is not kept.
        """
        self.find(owner, name, "response_id", 404)
        self._forget(name)
