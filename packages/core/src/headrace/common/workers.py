"""Calls that wait, made on behalf of a task: a worker thread makes them while the event loop turns.

Every asynchronous form in headrace comes here. The limiter is one of its own for each call: no
call waits for another's thread, nor for those of the program, which may all be waiting for it.
What a call makes for a task that is cancelled meanwhile is given back.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


def let_go() -> None:
    """For ``cancel``: nothing ends the call early, and nobody has to wait for its end."""


class Abandonable:
    """A progress function that ends the work once nobody waits for it.

    Args:
        progress: The caller's own, if there is one.
    """

    def __init__(self, progress: Callable[[float], bool | None] | None) -> None:
        self._progress = progress
        self._abandoned = False

    def abandon(self) -> None:
        """End the work the next time that it tells its progress."""
        self._abandoned = True

    def __call__(self, fraction: float) -> bool | None:
        """Tell the caller; False ends the work."""
        if self._abandoned:
            return False
        return None if self._progress is None else self._progress(fraction)


async def in_worker(
    action: Callable[[], _T],
    *,
    cancel: Callable[[], None] | None = None,
    unwanted: Callable[[_T], object] | None = None,
) -> _T:
    """Have a worker thread do what may wait.

    Args:
        action: What it does, once.
        cancel: Called when the task is cancelled, to end the action; takes no lock. The task then
            does not wait for its end. None: the task waits for it all the same, and an action
            that was asked for is carried out.
        unwanted: Gives back what the action made, if the task is cancelled before it has it.
    """
    import anyio
    import anyio.to_thread

    waits = cancel is None
    job = _Job(action, unwanted, waits=waits)
    # The worker thread runs in a copy of this context.
    token = _job.set(None if waits else job)
    try:
        with anyio.CancelScope(shield=waits):
            made = await anyio.to_thread.run_sync(
                job.run, abandon_on_cancel=not waits, limiter=anyio.CapacityLimiter(1)
            )
        return made  # noqa: RET504  # a scope may swallow what is raised in it
    except BaseException:
        # The action's own error, or the task was cancelled: by asyncio even inside a shield.
        if cancel is not None:
            cancel()
        if job.abandon():
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(
                    job.finish, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
                )
        raise
    finally:
        _job.reset(token)


def abandoned() -> Callable[[], bool]:
    """Tells whether the task has left that the calling worker thread works for, from now on.

    For actions that wait in short turns; those that the task waits for are never abandoned.
    """
    job = _job.get()
    return lambda: job is not None and job.abandoned


class _Job(Generic[_T]):
    """An action that is done once, and what it made until somebody has it.

    The task and the worker thread may both come to do it, or to give back what was made: what is
    to be done once is popped off a list, which only one of them can.
    """

    def __init__(
        self, action: Callable[[], _T], unwanted: Callable[[_T], object] | None, *, waits: bool
    ) -> None:
        self._action = [action]
        self._made: list[_T] = []
        self._unwanted = unwanted
        self._waits = waits
        self.abandoned = False
        self._ended = threading.Event()

    def run(self) -> _T:
        """Do it; returns what it made."""
        made = self._do()
        if self.abandoned and not self._waits:
            self._give_back()
        return made

    def abandon(self) -> bool:
        """Note that nobody has use for it; True if ``finish`` has something left to do."""
        self.abandoned = True
        return bool(self._made) or (self._waits and not self._ended.is_set())

    def finish(self) -> None:
        """See to its end, and give back what it made."""
        if self._action and self._waits:
            with contextlib.suppress(Exception):  # the task is told of its cancelling alone
                self._do()
        if self._waits:
            self._ended.wait()
        self._give_back()

    def _do(self) -> _T:
        action = self._action.pop()
        try:
            made = action()
            self._made.append(made)
            return made
        finally:
            self._ended.set()

    def _give_back(self) -> None:
        with contextlib.suppress(IndexError):
            made = self._made.pop()
            if self._unwanted is not None:
                self._unwanted(made)


_job: ContextVar[_Job[Any] | None] = ContextVar("headrace_job", default=None)
