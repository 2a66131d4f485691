"""Calls that may take long, each of which can be ended."""

from __future__ import annotations

from collections import deque
from typing import Any

from headrace.common.work import Cancelled, Work
from headrace.errors import ClosedError
from headrace.model import Model
from headrace.requests.score import ScoreRequest
from headrace.requests.vectors import EmbedRequest, RankRequest
from headrace.session import Session
from headrace_subprocess import wire
from headrace_subprocess.vectors import flattened

_EARLY = 1000
"""Calls that are remembered to have been stopped."""
Request = EmbedRequest | RankRequest | ScoreRequest


class Works:
    """Those that are running, by number."""

    def __init__(self) -> None:
        self.advances = 0
        """Times that any of them told its progress."""
        self._running: dict[int, Work] = {}
        # A note overtakes what it is about; of those that had ended nobody asks again.
        self._stopped: deque[int] = deque(maxlen=_EARLY)

    def run(
        self,
        channel: wire.Channel,
        number: int,
        model: Model,
        session: Session | None,
        request: Request,
    ) -> Any:
        """Run one to its end; its progress goes through the channel.

        Raises:
            ClosedError: If it was stopped.
            Disconnected: If the parent is gone.
        """

        def progress(fraction: float) -> None:
            self.advances += 1
            channel.send(["progress", float(fraction)])

        work = self._running[number] = Work(progress)
        if number in self._stopped:
            work.cancel()
        try:
            return _answer(model, session, request, work)
        except Cancelled:
            raise ClosedError("nobody waits for it any more") from None
        finally:
            del self._running[number]

    def stop(self, number: int) -> None:
        """End one, inside a native call too, or as soon as it begins."""
        self._stopped.append(number)
        work = self._running.get(number)
        if work is not None:
            work.cancel()


def _answer(model: Model, session: Session | None, request: Request, work: Work) -> Any:
    if isinstance(request, EmbedRequest):
        return flattened(model.embedded(request, work))
    if isinstance(request, RankRequest):
        return model.ranked(request, work)
    if session is None:
        raise ClosedError("the session was closed")
    return session.scored(request, work)
