"""``Background``: work that outlives the request it began with, and ends with the server.

A load is waited for by many requests, of which none may end it for the others; a task group would
need somebody who stays in it, which an application without a lifespan has not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import attrs

LOG = logging.getLogger("headrace_server")


@attrs.define(eq=False)
class Job:
    """Work under way."""

    work: Callable[[], Awaitable[None]]
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    _task: Any = None  # asyncio itself holds tasks by a weak reference

    def cancel(self) -> None:
        """End it."""
        self.scope.cancel()


class Background:
    """What works beside the requests of one server. For one event loop."""

    def __init__(self) -> None:
        self._jobs: set[Job] = set()

    def start(self, work: Callable[[], Awaitable[None]]) -> Job:
        """Begin something; what it raises goes to the log."""
        job = Job(work)
        self._jobs.add(job)
        try:
            job._task = asyncio.get_running_loop().create_task(self._run(job))
        except RuntimeError:
            import trio

            trio.lowlevel.spawn_system_task(self._run, job)
        return job

    async def _run(self, job: Job) -> None:
        try:
            with job.scope:
                await job.work()
        except Exception:
            LOG.exception("work in the background failed")
        finally:
            self._jobs.discard(job)
            job.ended.set()

    async def aclose(self) -> None:
        """End everything, and wait for its end."""
        for job in list(self._jobs):
            job.cancel()
        for job in list(self._jobs):
            await job.ended.wait()
