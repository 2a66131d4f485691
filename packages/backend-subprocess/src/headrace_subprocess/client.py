"""The connection to a child: what the model, its sessions and their generations ask through."""

from __future__ import annotations

import itertools
from typing import Any, TypeVar

from headrace.common.uncopyable import Uncopyable
from headrace.common.work import Work
from headrace.errors import BackendCrashedError, ClosedError
from headrace.results import ModelInfo
from headrace_subprocess import wire
from headrace_subprocess.signals import Note, Signal
from headrace_subprocess.worker import Others, Worker

_T = TypeVar("_T")


class Client(Uncopyable):
    """Asks one child, from any number of threads.

    Args:
        worker: The child.
        info: What is known of the model in it.
        channel: A channel for calls beside the sessions' own.
    """

    def __init__(self, worker: Worker, info: ModelInfo, channel: wire.Channel) -> None:
        self.worker = worker
        self.info = info
        self.closed = False
        """Whether the model was closed here, so that the end of the child is no crash."""
        self._numbers = itertools.count(1)
        # Channels for calls that nobody is using: calls of several threads run side by side.
        self._idle_channels = [channel]

    def next_number(self) -> int:
        """A number that names something in the child."""
        return next(self._numbers)

    def call(self, *message: Any, on: Others | None = None) -> Any:
        """A request beside the sessions' channels, and its answer; see ``Worker.request``."""
        channel = self._borrow()
        try:
            return self.worker.request(channel, *message, on=on)
        except BackendCrashedError:
            if self.closed:
                raise self.closed_error() from None
            raise
        finally:
            # One that an answer is still on its way in is dropped.
            if channel.synchronous:
                self._idle_channels.append(channel)

    def _borrow(self) -> wire.Channel:
        try:
            return self._idle_channels.pop()
        except IndexError:
            return self.worker.open_channel()

    def work(self, work: Work, session: int, request: object, kind: type[_T]) -> _T:
        """Have the child answer a request that may take long.

        Args:
            work: Ends it, and is told the share that is done.
            session: Number of the session that is asked; 0: the model.
            request: What is asked.
            kind: What the answer must be.
        """
        number = self.next_number()
        stop = Note(Signal.STOP_CALL, number)

        def told(what: str, value: Any) -> None:
            if what == "progress":
                work.report(value)

        def ask() -> Any:
            try:
                return self.call("work", number, session, request, on=told)
            except BaseException:
                # Of no effect if the work has ended.
                self.worker.signal(stop)
                raise

        value = work.call(ask, lambda: self.worker.signal(stop))
        if not isinstance(value, kind):
            raise self.worker.nonsense(type(request).__name__, value)
        return value

    def closed_error(self) -> ClosedError:
        """The error for what belongs to a closed model."""
        return ClosedError("the model was closed", backend=self.info.backend)
