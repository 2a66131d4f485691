"""Handles that a ``with`` or ``async with`` block closes: models, sessions and streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

from headrace.common.process import ProcessBound
from headrace.common.workers import in_worker

_Self = TypeVar("_Self", bound="Closing")


class Closing(ProcessBound, ABC):
    """Closed by the end of a ``with`` or ``async with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back. Closing again does nothing."""

    async def aclose(self) -> None:
        """``close`` for a task of asyncio or trio: a worker thread does what may wait."""
        await in_worker(self.close)

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
