"""How a reader waits for a step that another reader drives.

A waker must be safe in a signal handler and in a finalizer, which may run
inside the very wait they end: so none of these takes a lock that the wait may
hold, as ``threading.Event`` does.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Any, Protocol


class Waiter(Protocol):
    """One parked reader."""

    def wake(self) -> None:
        """Let it look again. Never blocks, never raises; waking twice is waking once."""
        ...


class ThreadWaiter:
    """Parks a thread. A wake that comes before the wait is not lost."""

    def __init__(self) -> None:
        self._gate = _thread.allocate_lock()
        self._gate.acquire()

    def wake(self) -> None:
        """Open the gate for one wait."""
        # Not suppress(): there may be many to wake for each step.
        try:  # noqa: SIM105
            self._gate.release()
        except RuntimeError:  # open already
            pass

    def wait(self, timeout: float) -> bool:
        """Return after a wake (True) or after ``timeout`` seconds (False)."""
        return self._gate.acquire(timeout=max(0.0, timeout))


class TaskWaiter:
    """Parks a task of the running event loop, asyncio's or trio's."""

    def __init__(self) -> None:
        import anyio

        self._new_event = anyio.Event
        self._move_on_after = anyio.move_on_after
        self._event = anyio.Event()
        self._loop, self._call_soon = _running_loop()

    def of_running_loop(self) -> bool:
        """Whether the task that runs now could wait here."""
        return _running_loop()[0] is self._loop

    def wake(self) -> None:
        """Have the loop set the event, from any thread; a loop that is gone has no reader."""
        _tell(self._call_soon, self._event.set)

    @staticmethod
    def wake_all(waiters: list[TaskWaiter]) -> None:
        """Wake many, with one call for each loop."""
        events: dict[object, list[Any]] = {}
        calls = {}
        for waiter in waiters:
            events.setdefault(waiter._loop, []).append(waiter._event)
            calls[waiter._loop] = waiter._call_soon
        for loop, call_soon in calls.items():
            _tell(call_soon, functools.partial(_set_all, events[loop]))

    async def wait(self, timeout: float | None) -> None:
        """Return after a wake or after ``timeout`` seconds; None: when woken."""
        if timeout is None:
            await self._event.wait()
        else:
            with self._move_on_after(max(0.0, timeout)):
                await self._event.wait()
        # Replaced before the caller looks at the engine again: a wake that
        # set the old event came after the change that the caller will see.
        self._event = self._new_event()


def _tell(call_soon: Callable[[Callable[[], Any]], Any], what: Callable[[], Any]) -> None:
    """Have a loop do something; one that is closed has nobody who waits."""
    try:
        call_soon(what)
    except RecursionError:
        raise  # a ``RuntimeError`` as well, and no loop's
    except RuntimeError:
        pass


def _set_all(events: list[Any]) -> None:
    for event in events:
        event.set()


def _running_loop() -> tuple[object, Callable[[Callable[[], Any]], Any]]:
    """What identifies the running event loop, and how other threads reach it."""
    trio = sys.modules.get("trio")
    if trio is not None:
        with contextlib.suppress(RuntimeError):  # imported, but not what runs here
            token = trio.lowlevel.current_trio_token()
            return token, token.run_sync_soon
    import asyncio

    loop = asyncio.get_running_loop()
    return loop, loop.call_soon_threadsafe
