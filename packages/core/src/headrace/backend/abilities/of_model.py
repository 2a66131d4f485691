"""What a ``DecoderModel`` may have beside its own methods: chat, vectors, adapters, advice.

Every one of these protocols is optional; the engine looks whether the object has the methods.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    from headrace.adapters import LoadedAdapter
    from headrace.params import EngineParams, SamplingParams
    from headrace.requests.chat import ChatRequest
    from headrace.results.machine import SystemInfo
    from headrace.streams.parser import RenderedChat


@runtime_checkable
class ChatFormatter(Protocol):
    """A model that has a chat template or can use one. Thread-safe."""

    def render_chat(self, request: ChatRequest) -> RenderedChat:
        """Render a conversation.

        Raises:
            TemplateError: If there is no template, or it cannot be parsed or rendered.
            UnsupportedError: If the library was built without its template engine.
        """
        ...


class Pooling(str, enum.Enum):
    """How the vectors of a text's tokens become one (llama.cpp's ``llama_pooling_type``)."""

    NONE = "none"
    """Not at all: one vector for each token."""
    MEAN = "mean"
    """Their mean."""
    CLS = "cls"
    """That of the first token, which BERT calls CLS."""
    LAST = "last"
    """That of the last token."""
    RANK = "rank"
    """A classifier's scores instead: how well a document answers a query."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class EmbedderInfo:
    """Limits and abilities of an embedder."""

    n_dimensions: int
    """Numbers of one vector."""
    n_batch: int
    """Most tokens of one call."""
    n_text: int
    """Most tokens of one text, at most ``n_batch``."""
    n_texts: int
    """Most texts of one call."""
    pooling: Pooling
    interruptible: bool
    """Whether ``interrupt`` takes effect inside a call, or only before the next one."""


class Embedder(Protocol):
    """A library's context that turns token ids into vectors."""

    info: EmbedderInfo

    def embed(self, call_id: int, texts: Sequence[Sequence[int]]) -> list[array[float]] | None:
        """The vectors of some texts, computed in one native call.

        Args:
            call_id: Larger than every earlier one.
            texts: Token ids, none of them empty, within the limits of ``info``.

        Returns:
            For each text its numbers in single precision: ``n_dimensions`` of them, or with
            pooling ``none`` so many for each token, one token after the other. None if the
            call was interrupted.

        Raises:
            ClosedError: If the embedder is closed before or during the call.
            DecodeError: If the computation failed; with ``poisoned`` it is of no more use.
        """
        ...

    def interrupt(self, call_id: int) -> None:
        """End the call early, or the moment it starts. A stale id does nothing. Takes no lock."""
        ...

    def close(self) -> None:
        """Free the context, after a running call has been ended. Closing again does nothing."""
        ...


@runtime_checkable
class EmbeddingModel(Protocol):
    """What a loaded model implements beside ``DecoderModel`` if it makes vectors."""

    def own_pooling(self) -> Pooling | None:
        """The pooling that the model was made for; None if its file names none."""
        ...

    def embed_hint(self) -> str | None:
        """Why the model makes no vectors, or None if it does."""
        ...

    def rerank_hint(self) -> str | None:
        """Why the model ranks no documents, or None if it does."""
        ...

    def rerank_prompt(self, query: str, document: str) -> list[int]:
        """Token ids of a query and a document, put together as the model expects them."""
        ...

    def open_embedder(self, params: EngineParams, pooling: Pooling) -> Embedder:
        """A new context.

        Raises:
            ModelMemoryError: If its memory cannot be had.
            ModelLoadError: If the library refuses for another reason.
        """
        ...


@runtime_checkable
class AdapterModel(Protocol):
    """A ``DecoderModel`` that loads adapters and control vectors."""

    def load_adapter(self, path: str) -> LoadedAdapter:
        """Load a LoRA adapter.

        Raises:
            ModelNotFoundError: If there is no such file.
            ModelFormatError: If it is something else, or damaged.
            ModelLoadError: If it was made for another model.
            ModelMemoryError: If there is no memory for it.
        """
        ...

    def load_control_vector(self, path: str) -> LoadedAdapter:
        """Load a control vector; the errors are the same."""
        ...


@runtime_checkable
class RecommendsSampling(Protocol):
    """A ``DecoderModel`` whose file may say how tokens are best chosen."""

    def recommended_sampling(self) -> SamplingParams:
        """The defaults, with what the file says in their place.

        Raises:
            ModelFormatError: For a value that is outside its range.
        """
        ...


@runtime_checkable
class TellsSystem(Protocol):
    """A ``DecoderModel`` that knows what it computes with."""

    def system_info(self, params: EngineParams) -> SystemInfo:
        """What a context with these settings computes with."""
        ...
