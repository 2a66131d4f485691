"""``Changes``: what happens to models, told to whoever listens.

The shape is that of llama-server's events: model, event, data.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectSendStream

ROOM = 256
"""Events that a listener may be behind before it is cut off."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a model."""

    model: str
    data: dict[str, Any]
    event: str = "model_status"


class Changes:
    """Tells what happens. For one event loop."""

    def __init__(self) -> None:
        self._listeners: list[MemoryObjectSendStream[Change]] = []

    def tell(self, change: Change) -> None:
        """Tell all listeners; who is too far behind is cut off, and listens anew."""
        for listener in list(self._listeners):
            try:
                listener.send_nowait(change)
            except (anyio.WouldBlock, anyio.BrokenResourceError):
                self._listeners.remove(listener)
                listener.close()

    @contextlib.contextmanager
    def listening(self) -> Iterator[AsyncIterator[Change]]:
        """What is told from now on, until the block ends."""
        send, receive = anyio.create_memory_object_stream[Change](ROOM)
        self._listeners.append(send)
        try:
            yield receive
        finally:
            if send in self._listeners:
                self._listeners.remove(send)
            send.close()
            receive.close()

    def close(self) -> None:
        """End what everybody listens to."""
        while self._listeners:
            self._listeners.pop().close()
