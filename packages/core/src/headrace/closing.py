"""Handles that a ``with`` or ``async with`` block closes: models, sessions and streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from headrace.process import ProcessBound

_Self = TypeVar("_Self", bound="Closing")
_T = TypeVar("_T")


async def to_thread(work: Callable[[], _T]) -> _T:
    """Have a worker thread do what may wait; a cancelled task waits for it all the same."""
    import anyio
    import anyio.to_thread

    # A limiter of its own: the program's worker threads may all wait for this.
    limiter = anyio.CapacityLimiter(1)
    with anyio.CancelScope(shield=True):
        done = await anyio.to_thread.run_sync(work, limiter=limiter)
    return done  # noqa: RET504  # a scope may swallow what is raised in it


class Closing(ProcessBound, ABC):
    """Closed by the end of a ``with`` or ``async with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back. Closing again does nothing."""

    async def aclose(self) -> None:
        """``close`` for a task of asyncio or trio: a worker thread does what may wait."""
        await to_thread(self.close)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
