"""One call that may take long: it tells its progress, and any thread can end it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
Progress = Callable[[float], object]


class Cancelled(BaseException):
    """The work was cancelled; whoever did that is no longer waiting for what it would give."""


class Work:
    """What a caller waits for, and what ends it.

    Args:
        progress: Told the share that is done, in the thread that works.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._cancelled = False
        self._interrupt: Callable[[], object] | None = None

    def cancel(self) -> None:
        """End it, inside a call that was noted too. Takes no lock."""
        self._cancelled = True
        interrupt = self._interrupt
        if interrupt is not None:
            interrupt()

    def call(self, action: Callable[[], _T], interrupt: Callable[[], object]) -> _T:
        """Do a part of it.

        Args:
            action: The part.
            interrupt: Ends it early; comes from any thread, and takes no lock.

        Raises:
            Cancelled: Instead of the part, after ``cancel``.
        """
        try:
            # Noted first: a cancel that comes from here on finds the call, or is seen below.
            self._interrupt = interrupt
            if self._cancelled:
                raise Cancelled
            return action()
        finally:
            self._interrupt = None

    def report(self, done: float) -> None:
        """Tell the caller the share that is done, from 0.0 to 1.0."""
        if self._progress is not None:
            self._progress(done)
