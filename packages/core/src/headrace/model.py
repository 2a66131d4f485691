"""``Model``: what callers hold of loaded weights and vocabulary."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from headrace.adapters import Adapter, ControlVector
from headrace.params import SamplingParams, SessionParams
from headrace.reference import ModelReference
from headrace.requests.keywords import Messages, RenderKeywords, Texts
from headrace.results import Capability, ModelInfo
from headrace.results.machine import MemoryUsage, SystemInfo
from headrace.results.vectors import Embeddings, Ranking
from headrace.session import Session
from headrace.streams.parser import RenderedChat

if TYPE_CHECKING:
    from typing_extensions import Unpack


@runtime_checkable
class Model(Protocol):
    """Loaded weights and vocabulary: immutable, shareable between threads."""

    info: ModelInfo

    if TYPE_CHECKING:  # from ``ModelBase``; whoever inherits it not, is a model all the same

        @property
        def reference(self) -> ModelReference:
            """What it was loaded from: a value to load it again elsewhere."""
            ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this model can do."""
        ...

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Token ids of a text."""
        ...

    async def atokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """The same for a task of asyncio or trio."""
        ...

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """Bytes that the tokens stand for."""
        ...

    async def adetokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """The same for a task of asyncio or trio."""
        ...

    def render_chat(self, messages: Messages, **request: Unpack[RenderKeywords]) -> RenderedChat:
        """A conversation as the model sees it."""
        ...

    async def arender_chat(
        self, messages: Messages, **request: Unpack[RenderKeywords]
    ) -> RenderedChat:
        """The same for a task of asyncio or trio."""
        ...

    def open_session(self, params: SessionParams | None = None) -> Session:
        """A new, empty session."""
        ...

    async def aopen_session(self, params: SessionParams | None = None) -> Session:
        """The same for a task of asyncio or trio; one that nobody waits for is closed."""
        ...

    def embed(
        self,
        texts: Texts,
        *,
        pooling: str | None = None,
        normalize: bool = True,
        truncate: bool = False,
        as_array: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> Embeddings:
        """Vectors for texts."""
        ...

    async def aembed(
        self,
        texts: Texts,
        *,
        pooling: str | None = None,
        normalize: bool = True,
        truncate: bool = False,
        as_array: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> Embeddings:
        """The same for a task of asyncio or trio."""
        ...

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        sort: bool = False,
        truncate: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> Ranking:
        """How well each document answers the query."""
        ...

    async def arerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        sort: bool = False,
        truncate: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> Ranking:
        """The same for a task of asyncio or trio."""
        ...

    def recommended_sampling(self) -> SamplingParams:
        """What the model's makers recommend; the defaults where they say nothing."""
        ...

    async def arecommended_sampling(self) -> SamplingParams:
        """The same for a task of asyncio or trio."""
        ...

    def system_info(self) -> SystemInfo:
        """What the model computes with: build, kernels, threads, devices."""
        ...

    async def asystem_info(self) -> SystemInfo:
        """The same for a task of asyncio or trio."""
        ...

    def memory_usage(self) -> MemoryUsage:
        """What the model and its context have taken."""
        ...

    async def amemory_usage(self) -> MemoryUsage:
        """The same for a task of asyncio or trio."""
        ...

    def load_adapter(self, path: str | os.PathLike[str]) -> Adapter:
        """Load a LoRA adapter for its sessions; it is closed with the model."""
        ...

    async def aload_adapter(self, path: str | os.PathLike[str]) -> Adapter:
        """The same for a task of asyncio or trio; one that nobody waits for is closed."""
        ...

    def load_control_vector(self, path: str | os.PathLike[str]) -> ControlVector:
        """Load a control vector for its sessions; it is closed with the model."""
        ...

    async def aload_control_vector(self, path: str | os.PathLike[str]) -> ControlVector:
        """The same for a task of asyncio or trio; one that nobody waits for is closed."""
        ...

    def close(self) -> None:
        """Close the sessions, then free the weights. Closing again does nothing."""
        ...

    def __enter__(self) -> Model: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    async def aclose(self) -> None:
        """``close`` for a task of asyncio or trio."""
        ...

    async def __aenter__(self) -> Model: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
