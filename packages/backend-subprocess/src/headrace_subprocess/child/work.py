"""Calls that may take long: their asynchronous forms, so that they can be ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any

from headrace.errors import ClosedError
from headrace.results.vectors import Embeddings
from headrace_subprocess import wire
from headrace_subprocess.vectors import flattened

_EARLY = 1000
"""Calls that are remembered to have been stopped."""


class Works:
    """Those that are running, by number."""

    def __init__(self) -> None:
        self.advances = 0
        """Times that any of them told its progress."""
        self._running: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = {}
        # A note overtakes what it is about; of those that had ended nobody asks again.
        self._stopped: deque[int] = deque(maxlen=_EARLY)

    def run(
        self,
        channel: wire.Channel,
        number: int,
        owner: Any,
        method: str,
        arguments: list[Any],
        options: dict[str, Any],
    ) -> Any:
        """Run one to its end; its progress goes through the channel.

        Raises:
            ClosedError: If it was stopped.
            Disconnected: If the parent is gone.
        """

        def progress(fraction: float) -> None:
            self.advances += 1
            if number in self._running:
                channel.send(["progress", float(fraction)])

        if method == "embed":
            options = {**options, "normalize": False}

        async def work() -> Any:
            task = asyncio.current_task()
            assert task is not None
            self._running[number] = asyncio.get_running_loop(), task
            if number in self._stopped:
                task.cancel()
            try:
                return await getattr(owner, "a" + method)(*arguments, progress=progress, **options)
            finally:
                del self._running[number]

        try:
            found = asyncio.run(work())
        except asyncio.CancelledError:
            raise ClosedError("nobody waits for it any more") from None
        return flattened(found) if isinstance(found, Embeddings) else found

    def stop(self, number: int) -> None:
        """End one, inside a native call too, or as soon as it begins."""
        self._stopped.append(number)
        loop, task = self._running.get(number, (None, None))
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # it ended meanwhile
                loop.call_soon_threadsafe(task.cancel)
