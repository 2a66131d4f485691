"""``--timeout``: what takes too long ends as Ctrl-C ends it, and is told as what it was."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import click

_SHORTEST, _LONGEST = 1e-6, 1e8
"""Seconds that a timer of the system takes; more is no limit."""


class TimeUp(KeyboardInterrupt):
    """The time is over; like Ctrl-C it passes everything that catches errors."""


class TimedOutError(click.ClickException):
    """Something took longer than ``--timeout`` allows."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what} took longer than --timeout {seconds:g}")
        self.hint = "Allow more seconds, or leave --timeout out."


@contextlib.contextmanager
def time_limit(seconds: float | None, what: str) -> Iterator[None]:
    """End what is done within after so many seconds, where the system has a timer for it.

    Raises:
        TimedOutError: If it took longer.
    """
    main = threading.current_thread() is threading.main_thread()
    if seconds is None or seconds > _LONGEST or not main or not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, _SHORTEST))
    try:
        yield
    except TimeUp:
        raise TimedOutError(what, seconds) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ring(number: int, frame: FrameType | None) -> None:
    raise TimeUp
