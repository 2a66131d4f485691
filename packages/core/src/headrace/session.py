"""``Session``: what callers hold of one sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from headrace.params import SamplingParams
from headrace.requests.infill import InfillKeywords
from headrace.requests.keywords import ChatKeywords, Messages, Prompt
from headrace.results import Completion
from headrace.results.chat import ChatCompletion
from headrace.results.machine import SessionMemory
from headrace.results.score import Score
from headrace.state import StateSource, StateTarget
from headrace.streams.chat import ChatStream
from headrace.streams.tokens import TokenStream

if TYPE_CHECKING:
    from typing_extensions import Unpack


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
