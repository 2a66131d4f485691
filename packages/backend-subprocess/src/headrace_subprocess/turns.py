"""Tasks that end generations at the same time take turns in telling the child.

A worker thread waits for each. While the child answers, one is enough for all tasks of
a model; behind a call that is not answered nobody waits for long.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import AsyncIterator
from typing import Any

_LONGEST = 0.5
"""Seconds that a task waits for the others."""

_by_loop: Any = None
"""The semaphores of each event loop, by what they belong to."""


@contextlib.asynccontextmanager
async def turn(owner: object) -> AsyncIterator[None]:
    """Around a call in a worker thread; ``owner`` is whose tasks take turns."""
    import anyio

    semaphore = _semaphore(owner)
    mine = False
    with anyio.move_on_after(_LONGEST):
        await semaphore.acquire()
        mine = True
    try:
        yield
    finally:
        if mine:
            semaphore.release()


def _semaphore(owner: object) -> Any:
    global _by_loop
    import anyio
    from anyio.lowlevel import RunVar

    if _by_loop is None:
        _by_loop = RunVar("headrace_subprocess_turns")
    semaphores = _by_loop.get(None)
    if semaphores is None:
        semaphores = weakref.WeakKeyDictionary()
        _by_loop.set(semaphores)
    return semaphores.setdefault(owner, anyio.Semaphore(1))
