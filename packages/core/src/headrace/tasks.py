"""The asynchronous forms of what models and sessions do, for every backend to inherit.

Each has a worker thread make the plain call, which is right wherever a call waits for a native
library, a file, a lock or another process. A backend that can do better, as the engine can,
overrides it. A cancelled task leaves calls that change nothing of the session alone, and waits
for those that do: what comes after it then finds a session that nothing is about to change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from headrace.common.workers import in_worker, let_go

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from headrace.adapters import Adapter, ControlVector
    from headrace.model import Model
    from headrace.params import SamplingParams, SessionParams
    from headrace.requests.infill import InfillKeywords
    from headrace.requests.keywords import ChatKeywords, Messages, RenderKeywords, Texts
    from headrace.results import Completion
    from headrace.results.chat import ChatCompletion
    from headrace.results.machine import MemoryUsage, SessionMemory, SystemInfo
    from headrace.results.score import Score
    from headrace.results.vectors import Embeddings, Ranking
    from headrace.session import Session
    from headrace.state import StateSource, StateTarget
    from headrace.streams.chat import ChatStream
    from headrace.streams.parser import RenderedChat
    from headrace.streams.tokens import TokenStream


class ModelTasks:
    """What a task calls on a model."""

    async def atokenize(
        self: Model, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """``tokenize`` for a task of asyncio or trio."""
        return await in_worker(
            lambda: self.tokenize(text, add_special=add_special, parse_special=parse_special),
            cancel=let_go,
        )

    async def adetokenize(self: Model, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """``detokenize`` for a task of asyncio or trio."""
        return await in_worker(lambda: self.detokenize(tokens, special=special), cancel=let_go)

    async def arender_chat(
        self: Model, messages: Messages, **request: Unpack[RenderKeywords]
    ) -> RenderedChat:
        """``render_chat`` for a task of asyncio or trio."""
        return await in_worker(lambda: self.render_chat(messages, **request), cancel=let_go)

    async def aopen_session(self: Model, params: SessionParams | None = None) -> Session:
        """``open_session`` for a task; one that is opened for nobody any more is closed."""
        return await in_worker(
            lambda: self.open_session(params),
            cancel=let_go,
            unwanted=lambda session: session.close(),
        )

    async def aembed(
        self: Model,
        texts: Texts,
        *,
        pooling: str | None = None,
        normalize: bool = True,
        truncate: bool = False,
        as_array: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> Embeddings:
        """``embed`` for a task of asyncio or trio; ``progress`` is called in a worker thread."""
        return await in_worker(
            lambda: self.embed(
                texts,
                pooling=pooling,
                normalize=normalize,
                truncate=truncate,
                as_array=as_array,
                progress=progress,
            ),
            cancel=let_go,
        )

    async def arerank(
        self: Model,
        query: str,
        documents: Sequence[str],
        *,
        sort: bool = False,
        truncate: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> Ranking:
        """``rerank`` for a task of asyncio or trio; ``progress`` is called in a worker thread."""
        return await in_worker(
            lambda: self.rerank(query, documents, sort=sort, truncate=truncate, progress=progress),
            cancel=let_go,
        )

    async def arecommended_sampling(self: Model) -> SamplingParams:
        """``recommended_sampling`` for a task of asyncio or trio."""
        return await in_worker(self.recommended_sampling, cancel=let_go)

    async def asystem_info(self: Model) -> SystemInfo:
        """``system_info`` for a task of asyncio or trio."""
        return await in_worker(self.system_info, cancel=let_go)

    async def amemory_usage(self: Model) -> MemoryUsage:
        """``memory_usage`` for a task of asyncio or trio."""
        return await in_worker(self.memory_usage, cancel=let_go)

    async def aload_adapter(self: Model, path: str | os.PathLike[str]) -> Adapter:
        """``load_adapter`` for a task; one that is loaded for nobody any more is closed."""
        return await in_worker(
            lambda: self.load_adapter(path),
            cancel=let_go,
            unwanted=lambda adapter: adapter.close(),
        )

    async def aload_control_vector(self: Model, path: str | os.PathLike[str]) -> ControlVector:
        """``load_control_vector`` for a task; see ``aload_adapter``."""
        return await in_worker(
            lambda: self.load_control_vector(path),
            cancel=let_go,
            unwanted=lambda vector: vector.close(),
        )


class SessionTasks:
    """What a task calls on a session."""

    async def agenerate(
        self: Session,
        prompt: str | Sequence[int] | None,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> TokenStream:
        """``generate`` for a task of asyncio or trio: ``async with await session.agenerate(…)``."""
        return await in_worker(
            lambda: self.generate(
                prompt,
                sampling=sampling,
                max_tokens=max_tokens,
                stop=stop,
                ignore_eog=ignore_eog,
                timeout=timeout,
            ),
            unwanted=lambda stream: stream.close(),
        )

    async def acomplete(
        self: Session,
        prompt: str | Sequence[int] | None,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> Completion:
        """``complete`` for a task of asyncio or trio; cancelling the task cancels it."""
        stream = await self.agenerate(
            prompt,
            sampling=sampling,
            max_tokens=max_tokens,
            stop=stop,
            ignore_eog=ignore_eog,
            timeout=timeout,
        )
        async with stream:
            async for _ in stream:
                pass
            return stream.result

    async def achat(
        self: Session, messages: Messages, **request: Unpack[ChatKeywords]
    ) -> ChatStream:
        """``chat`` for a task of asyncio or trio: ``async with await session.achat(…)``."""
        return await in_worker(
            lambda: self.chat(messages, **request), unwanted=lambda stream: stream.close()
        )

    async def acomplete_chat(
        self: Session, messages: Messages, **request: Unpack[ChatKeywords]
    ) -> ChatCompletion:
        """``complete_chat`` for a task of asyncio or trio; cancelling the task cancels it."""
        async with await self.achat(messages, **request) as stream:
            async for _ in stream:
                pass
            return stream.result

    async def ainfill(
        self: Session,
        prefix: str | Sequence[int],
        suffix: str | Sequence[int],
        **request: Unpack[InfillKeywords],
    ) -> TokenStream:
        """``infill`` for a task of asyncio or trio: ``async with await session.ainfill(…)``."""
        return await in_worker(
            lambda: self.infill(prefix, suffix, **request), unwanted=lambda stream: stream.close()
        )

    async def acomplete_infill(
        self: Session,
        prefix: str | Sequence[int],
        suffix: str | Sequence[int],
        **request: Unpack[InfillKeywords],
    ) -> Completion:
        """``complete_infill`` for a task of asyncio or trio; cancelling the task cancels it."""
        async with await self.ainfill(prefix, suffix, **request) as stream:
            async for _ in stream:
                pass
            return stream.result

    async def atokens(self: Session) -> list[int]:
        """``tokens`` for a task of asyncio or trio."""
        return await in_worker(lambda: self.tokens, cancel=let_go)

    async def arewind(self: Session, *, to: int) -> None:
        """``rewind`` for a task of asyncio or trio."""
        await in_worker(lambda: self.rewind(to=to))

    async def areset(self: Session) -> None:
        """``reset`` for a task of asyncio or trio."""
        await in_worker(self.reset)

    async def afork(self: Session) -> Session:
        """``fork`` for a task; one that is made for nobody any more is closed."""
        return await in_worker(self.fork, cancel=let_go, unwanted=lambda session: session.close())

    async def ascore(
        self: Session,
        text: str | Sequence[int],
        *,
        top: int = 0,
        progress: Callable[[float], object] | None = None,
    ) -> Score:
        """``score`` for a task of asyncio or trio; ``progress`` is called in a worker thread."""
        return await in_worker(lambda: self.score(text, top=top, progress=progress), cancel=let_go)

    async def amemory_usage(self: Session) -> SessionMemory:
        """``memory_usage`` for a task of asyncio or trio."""
        return await in_worker(self.memory_usage, cancel=let_go)

    async def astate(self: Session) -> bytes:
        """``state`` for a task of asyncio or trio."""
        return await in_worker(self.state)

    async def asave_state(self: Session, target: StateTarget) -> None:
        """``save_state`` for a task of asyncio or trio."""
        await in_worker(lambda: self.save_state(target))

    async def aload_state(self: Session, source: StateSource) -> None:
        """``load_state`` for a task of asyncio or trio."""
        await in_worker(lambda: self.load_state(source))

    async def aset_adapters(self: Session, adapters: Iterable[object]) -> None:
        """``set_adapters`` for a task of asyncio or trio."""
        await in_worker(lambda: self.set_adapters(adapters))

    async def aset_control_vectors(self: Session, vectors: Iterable[object]) -> None:
        """``set_control_vectors`` for a task of asyncio or trio."""
        await in_worker(lambda: self.set_control_vectors(vectors))
