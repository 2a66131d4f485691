"""A time limit for what may hang: it runs in a thread of its own, and is left behind there."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Generic, TypeVar

from headrace.testing.threads import KIT_THREAD

_T = TypeVar("_T")


class Overdue(Exception):
    """Something did not end in time.

    Args:
        what: What it is.
        seconds: Its limit.
        stack: Where its thread is.
    """

    def __init__(self, what: str, seconds: float, stack: str) -> None:
        super().__init__(what, seconds, stack)
        self.what, self.seconds, self.stack = what, seconds, stack

    def __str__(self) -> str:
        lines = self.stack.strip().splitlines()
        place = lines[-2].strip() if len(lines) > 1 else "a place that is not known"
        return f"{self.what} was not over after {self.seconds:g} s; it is at {place}"


class _Call(Generic[_T]):
    """A call in a daemon thread: what hangs in it holds up nobody's exit."""

    def __init__(self, call: Callable[[], _T], name: str) -> None:
        self._call = call
        self._answers: list[_T] = []
        self._errors: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, name=f"{KIT_THREAD}: {name}", daemon=True)

    def _run(self) -> None:
        try:
            self._answers.append(self._call())
        except BaseException as error:
            self._errors.append(error)

    def answer(self) -> _T:
        if self._errors:
            raise self._errors[0]
        return self._answers[0]


def within(seconds: float, call: Callable[[], _T], what: str) -> _T:
    """What the call returns or raises.

    Raises:
        Overdue: If it takes longer; its thread is left behind.
    """
    running = _Call(call, what)
    running.thread.start()
    running.thread.join(seconds)
    if running.thread.is_alive():
        raise Overdue(what, seconds, _stack(running.thread))
    return running.answer()


def _stack(thread: threading.Thread) -> str:
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)) if frame is not None else ""
