"""A call that is given a time, for a look at things of which some may hang.

It runs in a thread of its own, which is left behind where it does not end: nothing
in Python can end it. Only for programs that look and are then done.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class StillRunning(Exception):
    """The call has not ended in its time."""

    def __init__(self, seconds: float, stack: str) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.stack = stack
        """Where it is, as a traceback shows it."""


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """What a call returns or raises.

    Args:
        seconds: The longest that is waited for it.
        call: Run in another thread.

    Raises:
        StillRunning: If it does neither.
    """
    run = _Run(call)
    run.thread.start()
    run.thread.join(seconds)
    if run.thread.is_alive():
        raise StillRunning(seconds, run.stack())
    if run.error is not None:
        raise run.error
    (result,) = run.result
    return result


class _Run(Generic[_T]):
    def __init__(self, call: Callable[[], _T]) -> None:
        self._call = call
        self.result: list[_T] = []
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="headrace-within", daemon=True)

    def _run(self) -> None:
        try:
            self.result.append(self._call())
        except BaseException as error:
            self.error = error

    def stack(self) -> str:
        frame = sys._current_frames().get(self.thread.ident or 0)
        return "" if frame is None else "".join(traceback.format_stack(frame))
