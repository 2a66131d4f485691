"""Things in the child that stand for something in the parent: adapters and parsers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from headrace.adapters import AdapterInfo
from headrace.common.uncopyable import Uncopyable
from headrace.common.workers import in_worker, let_go
from headrace.errors import ChatParseError
from headrace.results.chat import ChatMessage
from headrace.streams.parser import RenderedChat
from headrace_subprocess.client import Client
from headrace_subprocess.patience import Expired, Patience
from headrace_subprocess.signals import Note, Signal
from headrace_subprocess.turns import turn
from headrace_subprocess.worker import Worker

_T = TypeVar("_T")


class RemoteAdapter(Uncopyable):
    """An adapter or control vector that the child has loaded; a ``LoadedAdapter``."""

    def __init__(self, worker: Worker, number: int, info: AdapterInfo) -> None:
        self.info = info
        self.number = number
        self._worker = worker

    def close(self) -> None:
        """Have the child close it. Takes no lock: it may come from a finalizer."""
        self._worker.signal(Note(Signal.FORGET, self.number))


class RemoteParser(Uncopyable):
    """A ``ChatParser`` that works in the child, where the template is.

    Args:
        client: The connection to the child.
        number: Its name there.
        until: The deadline of the answer that it reads, on the monotonic clock.
    """

    def __init__(self, client: Client, number: int, until: float | None = None) -> None:
        self._client = client
        self._number = number
        self._until = until

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser.parse``."""
        patience = Patience(self._client.worker, "parse", self._until)
        try:
            message = self._client.call("parse", self._number, text, partial, patience=patience)
        except Expired:
            raise ChatParseError(
                "the answer was not read before its time-out: the process did not respond",
                text=text,
                backend=self._client.info.backend,
            ) from None
        if not isinstance(message, ChatMessage):
            raise self._client.worker.nonsense("parse", message)
        return message

    async def aside(self, read: Callable[[], _T]) -> _T:
        """Have a worker thread do what calls ``parse``."""
        async with turn(self._client):
            return await in_worker(read, cancel=let_go)

    def __del__(self) -> None:
        if not hasattr(self, "_number"):
            return  # an interrupt may fall into __init__
        self._client.worker.signal(Note(Signal.FORGET, self._number))


class UnaskedParser:
    """Reads the answer that there was no time for the child to begin."""

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """Plain text."""
        return ChatMessage(role="assistant", content=text)


def rendered_chat(client: Client, told: dict[str, Any], until: float | None = None) -> RenderedChat:
    """A rendered conversation from what the child says of it; its answer has a deadline."""
    parser = RemoteParser(client, told["parser"], until)
    return RenderedChat(
        prompt=str(told["prompt"]),
        parser=parser,
        grammar=told["grammar"],
        stops=told["stops"],
        spoken=told["spoken"],
    )
