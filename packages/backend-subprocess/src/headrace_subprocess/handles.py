"""Things in the child that stand for something in the parent: adapters and parsers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.adapters import AdapterInfo
from headrace.chat.types import ChatMessage
from headrace.copying import Uncopyable
from headrace.protocols.chat import RenderedChat
from headrace_subprocess.signals import Note, Signal

if TYPE_CHECKING:
    from headrace_subprocess.model import SubprocessModel
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


class RemoteParser(Uncopyable):
    """A ``ChatParser`` that works in the child, where the template is."""

    def __init__(self, model: SubprocessModel, number: int) -> None:
        self._model = model
        self._number = number

    def parse(self, text: str, *, partial: bool) -> ChatMessage:
        """See ``ChatParser.parse``."""
        message = self._model.call("parse", self._number, text, partial)
        if not isinstance(message, ChatMessage):
            raise self._model.worker.nonsense("parse", message)
        return message

    def __del__(self) -> None:
        self._model.worker.signal(Note(Signal.FORGET, self._number))


def rendered_chat(model: SubprocessModel, told: dict[str, Any]) -> RenderedChat:
    """A rendered conversation from what the child says of it."""
    parser = RemoteParser(model, told["parser"])
    return RenderedChat(
        prompt=str(told["prompt"]),
        parser=parser,
        grammar=told["grammar"],
        stops=told["stops"],
        spoken=told["spoken"],
    )
