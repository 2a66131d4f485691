"""A call that is given a time: a look at things of which some may hang, a pull that may not return.

It runs in a thread of its own, which is left behind where it does not end: nothing
in Python can end it.
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


class Beside(Generic[_T]):
    """A call in a thread of its own, begun at once.

    Args:
        call: Run in the other thread.
        name: Of the thread.
    """

    def __init__(self, call: Callable[[], _T], name: str) -> None:
        self._call = call
        self._ended = threading.Event()
        self._result: list[_T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()

    def wait(self, seconds: float | None) -> bool:
        """Whether it has ended by then; None: wait for its end."""
        return self._ended.wait(seconds)

    def taken(self) -> _T:
        """What it has returned, or raise what it has raised; once, after its end."""
        if self._error is not None:
            raise self._error
        (result,) = self._result
        return result

    def stack(self) -> str:
        """Where it is, as a traceback shows it."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        return "" if frame is None else "".join(traceback.format_stack(frame))


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """What a call returns or raises. Only for programs that look and are then done.

    Args:
        seconds: The longest that is waited for it.
        call: Run in another thread.

    Raises:
        StillRunning: If it does neither.
    """
    run = Beside(call, "headrace-within")
    if not run.wait(seconds):
        raise StillRunning(seconds, run.stack())
    return run.taken()
