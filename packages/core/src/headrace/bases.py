"""What every model and session does alike, for backends to inherit.

A tier-1 backend writes ``generate`` and ``close``; completing, the ``with``
statements and their asynchronous forms come from here, as they do for the
engine's own classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

from headrace.params import SamplingParams
from headrace.process import ProcessBound
from headrace.results import Completion
from headrace.stream import TokenStream

_Self = TypeVar("_Self", bound="_Closing")


class _Closing(ProcessBound, ABC):
    """Closed by the end of a ``with`` or ``async with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back. Closing again does nothing."""

    async def aclose(self) -> None:
        """``close`` for a task of asyncio or trio: a worker thread does what may wait."""
        import anyio

        with anyio.CancelScope(shield=True):
            await _in_thread(self.close)

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


class ModelBase(_Closing):
    """A model without its substance."""


class SessionBase(_Closing):
    """A session without its substance: ``generate`` and ``close`` are missing."""

    @abstractmethod
    def generate(
        self,
        prompt: str | Sequence[int] | None,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> TokenStream:
        """Append the prompt to the history and stream what follows."""

    def complete(
        self,
        prompt: str | Sequence[int] | None,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> Completion:
        """The same as ``generate``, read to its end."""
        with self.generate(
            prompt,
            sampling=sampling,
            max_tokens=max_tokens,
            stop=stop,
            ignore_eog=ignore_eog,
            timeout=timeout,
        ) as stream:
            for _ in stream:
                pass
            return stream.result

    async def acomplete(
        self,
        prompt: str | Sequence[int] | None,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> Completion:
        """``complete`` for a task of asyncio or trio; cancelling the task cancels it."""
        async with self.generate(
            prompt,
            sampling=sampling,
            max_tokens=max_tokens,
            stop=stop,
            ignore_eog=ignore_eog,
            timeout=timeout,
        ) as stream:
            async for _ in stream:
                pass
            return stream.result


async def _in_thread(action: Callable[[], None]) -> None:
    import anyio
    import anyio.to_thread

    # A limiter of its own: the program's worker threads may all wait for this.
    await anyio.to_thread.run_sync(action, limiter=anyio.CapacityLimiter(1))
