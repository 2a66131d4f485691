"""Several answers at once, as one iterator."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeVar

import anyio
from anyio.streams.memory import MemoryObjectSendStream

_T = TypeVar("_T")
Source = Callable[[], AsyncGenerator[_T, None]]
"""Begins an iterator."""


async def merged(sources: Sequence[Source[_T]], most: int) -> AsyncGenerator[_T, None]:
    """What all of them give, as it comes; the first that fails ends them all.

    Close it in the task that reads it.

    Args:
        sources: Begin the iterators.
        most: How many of them may be at work at the same time.

    Raises:
        Exception: What one of them raised.
    """
    if len(sources) == 1:
        async with contextlib.aclosing(sources[0]()) as only:
            async for item in only:
                yield item
        return
    limit = anyio.Semaphore(most)
    send, receive = anyio.create_memory_object_stream[_T](0)
    failures: list[Exception] = []
    async with anyio.create_task_group() as tasks:

        async def work(source: Source[_T], out: MemoryObjectSendStream[_T]) -> None:
            async with out, limit, contextlib.aclosing(source()) as items:
                try:
                    async for item in items:
                        await out.send(item)
                except Exception as error:
                    failures.append(error)
                    tasks.cancel_scope.cancel()

        async with send:
            for source in sources:
                tasks.start_soon(work, source, send.clone())
        async with receive:
            async for item in receive:
                yield item
    if failures:
        raise failures[0]
