"""Tier 1, the waist: ``Backend``, ``Model``, ``Session``.

``headrace.bases`` has what all models and sessions do alike.

Values move forward only: a backend makes models, a model makes sessions, a
session makes streams. ``TokenStream`` is the core's class for everyone; what a
backend supplies for it is a ``Generation``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

from headrace.adapters import Adapter, ControlVector
from headrace.embeddings import Embeddings, Ranking
from headrace.machine import MemoryUsage, SessionMemory, SystemInfo
from headrace.params import EngineParams, ModelParams, SamplingParams, SessionParams
from headrace.results import (
    Capability,
    Completion,
    ModelInfo,
    Receipt,
    StopReason,
    Timings,
    TokenLogprob,
    Usage,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from headrace.chat.keywords import ChatKeywords, Messages, RenderKeywords
    from headrace.chat.stream import ChatStream
    from headrace.chat.types import ChatCompletion
    from headrace.infilling import InfillKeywords
    from headrace.protocols.chat import RenderedChat
    from headrace.reloading import ModelReference
    from headrace.scores import Score
    from headrace.state import StateSource, StateTarget
    from headrace.stream import TokenStream

PROTOCOL_VERSION = 1
"""Version of both tiers; a plugin whose backend names another one is quarantined."""

Prompt = str | Sequence[int] | None
Texts = str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]


@attrs.frozen(kw_only=True)
class LoadRequest:
    """What ``load_model`` hands to a backend, all of it validated."""

    reference: str
    """A path, or whatever else the backend's ``can_load`` accepts."""
    params: ModelParams
    engine: EngineParams
    progress: Callable[[float], bool | None] | None = None
    """Called with 0.0 … 1.0 while loading; returning False ends the load, and so does raising."""


@runtime_checkable
class Backend(Protocol):
    """A plugin that can load models."""

    name: str
    """What callers write in ``backend=…``: lower-case letters, digits, ``-`` and ``_``."""
    protocol_version: int
    """The version it was written for, as a number: ``PROTOCOL_VERSION`` would always fit."""
    version: str
    """Version of the backend."""

    def can_load(self, reference: str) -> bool:
        """Whether the reference looks like this backend's: its magic is read, no more.

        Must not import native code and must not raise for a missing file.
        """
        ...

    def load(self, request: LoadRequest) -> Model:
        """Load a model.

        Raises:
            ModelError: One of its subclasses.
            BackendUnavailableError: If something the backend needs cannot be imported.
        """
        ...

    def capabilities(self) -> frozenset[Capability]:
        """What models of this backend can do at best, without importing native code."""
        ...


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


@runtime_checkable
class Session(Protocol):
    """One sequence with its history and its memory."""

    @property
    def tokens(self) -> list[int]:
        """The history: the prompt tokens processed and the tokens delivered."""
        ...

    async def atokens(self) -> list[int]:
        """The same for a task of asyncio or trio."""
        ...

    def generate(
        self,
        prompt: Prompt,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> TokenStream:
        """Append the prompt to the history and stream what follows."""
        ...

    async def agenerate(
        self,
        prompt: Prompt,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> TokenStream:
        """The same for a task of asyncio or trio."""
        ...

    def complete(
        self,
        prompt: Prompt,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> Completion:
        """The same, without streaming."""
        ...

    async def acomplete(
        self,
        prompt: Prompt,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> Completion:
        """The same for a task of asyncio or trio."""
        ...

    def chat(self, messages: Messages, **request: Unpack[ChatKeywords]) -> ChatStream:
        """Answer a conversation, whose rendering becomes the history."""
        ...

    async def achat(self, messages: Messages, **request: Unpack[ChatKeywords]) -> ChatStream:
        """The same for a task of asyncio or trio."""
        ...

    def complete_chat(self, messages: Messages, **request: Unpack[ChatKeywords]) -> ChatCompletion:
        """The same, without streaming."""
        ...

    async def acomplete_chat(
        self, messages: Messages, **request: Unpack[ChatKeywords]
    ) -> ChatCompletion:
        """The same for a task of asyncio or trio."""
        ...

    def infill(
        self,
        prefix: str | Sequence[int],
        suffix: str | Sequence[int],
        **request: Unpack[InfillKeywords],
    ) -> TokenStream:
        """Write what stands between a prefix and a suffix, which become the history."""
        ...

    async def ainfill(
        self,
        prefix: str | Sequence[int],
        suffix: str | Sequence[int],
        **request: Unpack[InfillKeywords],
    ) -> TokenStream:
        """The same for a task of asyncio or trio."""
        ...

    def complete_infill(
        self,
        prefix: str | Sequence[int],
        suffix: str | Sequence[int],
        **request: Unpack[InfillKeywords],
    ) -> Completion:
        """The same, without streaming."""
        ...

    async def acomplete_infill(
        self,
        prefix: str | Sequence[int],
        suffix: str | Sequence[int],
        **request: Unpack[InfillKeywords],
    ) -> Completion:
        """The same for a task of asyncio or trio."""
        ...

    def rewind(self, *, to: int) -> None:
        """Keep that many tokens of the history and forget the rest."""
        ...

    async def arewind(self, *, to: int) -> None:
        """The same for a task of asyncio or trio."""
        ...

    def reset(self) -> None:
        """Forget everything."""
        ...

    async def areset(self) -> None:
        """The same for a task of asyncio or trio."""
        ...

    def fork(self) -> Session:
        """A session with the same history, which goes its own way from here."""
        ...

    async def afork(self) -> Session:
        """The same for a task of asyncio or trio; one that nobody waits for is closed."""
        ...

    def score(
        self,
        text: str | Sequence[int],
        *,
        top: int = 0,
        progress: Callable[[float], object] | None = None,
    ) -> Score:
        """How likely a text is after the history, which stays as it is."""
        ...

    async def ascore(
        self,
        text: str | Sequence[int],
        *,
        top: int = 0,
        progress: Callable[[float], object] | None = None,
    ) -> Score:
        """``score`` for a task of asyncio or trio."""
        ...

    def memory_usage(self) -> SessionMemory:
        """What the session has in memory at the moment."""
        ...

    async def amemory_usage(self) -> SessionMemory:
        """The same for a task of asyncio or trio."""
        ...

    def state(self) -> bytes:
        """The session as bytes, for ``load_state``."""
        ...

    async def astate(self) -> bytes:
        """The same for a task of asyncio or trio."""
        ...

    def save_state(self, target: StateTarget) -> None:
        """Write the session to a path or an open file."""
        ...

    def load_state(self, source: StateSource) -> None:
        """Become what another session was when it was saved."""
        ...

    async def asave_state(self, target: StateTarget) -> None:
        """``save_state`` for a task of asyncio or trio."""
        ...

    async def aload_state(self, source: StateSource) -> None:
        """``load_state`` for a task of asyncio or trio."""
        ...

    def set_adapters(self, adapters: Iterable[object]) -> None:
        """Compute with these LoRA adapters from the next generation on, and no others."""
        ...

    async def aset_adapters(self, adapters: Iterable[object]) -> None:
        """The same for a task of asyncio or trio."""
        ...

    def set_control_vectors(self, vectors: Iterable[object]) -> None:
        """Compute with these control vectors from the next generation on, and no others."""
        ...

    async def aset_control_vectors(self, vectors: Iterable[object]) -> None:
        """The same for a task of asyncio or trio."""
        ...

    def close(self) -> None:
        """End a running generation and give the memory back. Closing again does nothing."""
        ...

    def __enter__(self) -> Session: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    async def aclose(self) -> None:
        """``close`` for a task of asyncio or trio."""
        ...

    async def __aenter__(self) -> Session: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@attrs.frozen
class Piece:
    """One token of output."""

    token: int | None
    """Its id; None where the backend sends text only."""
    data: bytes
    """The bytes it stands for: possibly part of a UTF-8 character, empty for an eog token."""
    logprob: TokenLogprob | None = None
    """If asked for."""


@attrs.frozen
class Delta:
    """What one ``pull`` brought."""

    pieces: tuple[Piece, ...] = ()
    end: StopReason | None = None
    """Set on the last delta of a generation."""


@attrs.frozen
class GenerationReport:
    """The numbers of an ended generation."""

    usage: Usage
    timings: Timings
    receipt: Receipt


class Generation(Protocol):
    """What a session supplies for one stream. One reader at a time.

    One whose ``settle`` waits for another process or machine has an ``async def aside(work)``
    too: it calls ``work``, which settles, where that blocks no event loop.
    """

    carry: bytes
    """Bytes of remembered tokens whose text was never shown; the stream begins with them."""

    interrupted: StopReason | None
    """The reason of an early end that was asked for."""

    def pull(self, max_wait: float | None) -> Delta | None:
        """The next output, or None if none arrived within ``max_wait`` seconds (None: wait).

        Raises:
            HeadraceError: If the generation failed; the stream ends with it.
        """
        ...

    async def apull(self, max_wait: float | None) -> Delta | None:
        """The same for a task of asyncio or trio: waits without blocking the event loop."""
        ...

    def deliver(self, pieces: int) -> bool:
        """The reader is about to see that many more pieces, in the order they were pulled.

        Returns False, and counts nothing, if the generation was interrupted meanwhile.
        """
        ...

    def interrupt(self, reason: StopReason) -> None:
        """Ask for an early end, from any thread, a finalizer or a signal handler: takes no lock.

        A pull that is waiting returns a delta whose ``end`` is the reason.
        """
        ...

    def settle(self, reason: StopReason | None, seen: int, carry: bytes = b"") -> GenerationReport:
        """End the generation: the session remembers what was seen and forgets the rest.

        Settling again returns the same report.

        Args:
            reason: Why it ended; None if it failed.
            seen: Pieces of all those pulled that the reader has seen.
            carry: Bytes of seen pieces whose text was not shown.
        """
        ...

    def counters(self) -> tuple[int, int, int]:
        """Tokens buffered, steps taken part in, waits for another reader's step."""
        ...
