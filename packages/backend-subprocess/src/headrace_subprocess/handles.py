"""Things in the child that stand for something in the parent: adapters and parsers."""

from __future__ import annotations

from typing import Any

from headrace.adapters import AdapterInfo
from headrace.common.uncopyable import Uncopyable
from headrace.results.chat import ChatMessage
from headrace.streams.parser import ChatParser, RenderedChat, WholeTextParser
from headrace_subprocess.client import Client
from headrace_subprocess.signals import Note, Signal
from headrace_subprocess.worker import Worker


class RemoteAdapter(Uncopyable):
    """An adapter or control vector that the child has loaded; a ``LoadedAdapter``."""

    def __init__(self, worker: Worker, number: int, info: AdapterInfo) -> None:
        self.info = info
        self.number = number
        self._worker = worker

    def close(self) -> None:
        """Have the child close it. Takes no lock: it may come from a finalizer."""
        self._worker.signal(Note(Signal.FORGET, self.number))


class RemoteParser(WholeTextParser, Uncopyable):
    """Has the child read an answer that was generated in some other way than by ``chat``.

    Args:
        client: The connection to the child.
        number: The parser's name there.
    """

    def __init__(self, client: Client, number: int) -> None:
        super().__init__()
        self._client = client
        self._number = number

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser.parse``."""
        message = self._client.call("parse", self._number, text, partial)
        if not isinstance(message, ChatMessage):
            raise self._client.worker.nonsense("parse", message)
        return message

    def __del__(self) -> None:
        if hasattr(self, "_number"):  # an interrupt may fall into __init__
            self._client.worker.signal(Note(Signal.FORGET, self._number))


def rendered_chat(told: dict[str, Any], parser: ChatParser) -> RenderedChat:
    """A rendered conversation from what the child says of it."""
    return RenderedChat(
        prompt=str(told["prompt"]),
        parser=parser,
        grammar=told["grammar"],
        stops=told["stops"],
        spoken=told["spoken"],
        plain=told["plain"],
    )
