"""What every model and session does alike, for backends to inherit.

A tier-1 backend writes ``generate`` and ``close``; completing, the ``with``
statements and all asynchronous forms (``headrace.tasks``) come from here, as they
do for the engine's own classes.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from headrace.adapters import Adapter, ControlVector
from headrace.common.closing import Closing
from headrace.errors import UnsupportedError, UsageError
from headrace.params import SamplingParams
from headrace.results import Completion
from headrace.results.machine import MemoryUsage, SessionMemory, SystemInfo
from headrace.results.vectors import Embeddings, Ranking
from headrace.streams.tokens import TokenStream
from headrace.tasks import ModelTasks, SessionTasks

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from headrace.reference import ModelReference
    from headrace.requests.infill import InfillKeywords
    from headrace.requests.keywords import ChatKeywords, Messages, RenderKeywords
    from headrace.results.chat import ChatCompletion
    from headrace.results.score import Score
    from headrace.session import Session
    from headrace.state import StateSource, StateTarget
    from headrace.streams.chat import ChatStream
    from headrace.streams.parser import RenderedChat

_LACKS = "model.capabilities says what a model can do."


class ModelBase(ModelTasks, Closing):
    """A model without its substance; what is optional raises ``UnsupportedError``."""

    instead = (
        "Load it again where it is needed: model.reference can be pickled, and its load() gives "
        "the model back."
    )
    _reference: ModelReference | None = None

    @property
    def reference(self) -> ModelReference:
        """What it was loaded from: a value that can be pickled, to load it again elsewhere.

        Raises:
            UsageError: If it was made without ``load_model``.
        """
        if self._reference is None:
            raise UsageError(
                f"this {type(self).__name__} was not loaded by headrace.load_model",
                hint="A headrace.ModelReference names what to load.",
            )
        return self._reference

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Token ids of a text."""
        raise self._lacks("tokenize")

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """Bytes that the tokens stand for."""
        raise self._lacks("detokenize")

    def recommended_sampling(self) -> SamplingParams:
        """What the model's makers recommend; the defaults where they say nothing."""
        return SamplingParams()

    def system_info(self) -> SystemInfo:
        """What the model computes with: build, kernels, threads, devices."""
        raise self._lacks("system_info")

    def memory_usage(self) -> MemoryUsage:
        """What the model and its context have taken."""
        raise self._lacks("memory_usage")

    def embed(
        self,
        texts: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]],
        *,
        pooling: str | None = None,
        normalize: bool = True,
        truncate: bool = False,
        as_array: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> Embeddings:
        """Vectors for texts."""
        raise self._lacks("embed")

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
        raise self._lacks("rerank")

    def _lacks(self, method: str) -> UnsupportedError:
        return UnsupportedError(
            f"{type(self).__name__} has no {method}",
            hint=_LACKS,
        )

    def render_chat(self, messages: Messages, **request: Unpack[RenderKeywords]) -> RenderedChat:
        """A conversation as the model sees it; see ``Model.render_chat``.

        Raises:
            UnsupportedError: Unless the backend has it.
        """
        raise self._lacks("render_chat")

    def load_adapter(self, path: str | os.PathLike[str]) -> Adapter:
        """Load a LoRA adapter.

        Raises:
            UnsupportedError: Here, where nothing is known of a backend that has them.
        """
        raise self._lacks("load_adapter")

    def load_control_vector(self, path: str | os.PathLike[str]) -> ControlVector:
        """Load a control vector.

        Raises:
            UnsupportedError: Here, where nothing is known of a backend that has them.
        """
        raise self._lacks("load_control_vector")


class SessionBase(SessionTasks, Closing):
    """A session without its substance: ``generate`` and ``close`` are missing."""

    instead = (
        "session.fork() is a session with the same history, and session.state() are bytes that "
        "a session of the same model loads, also in another process."
    )

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

    def set_adapters(self, adapters: Iterable[object]) -> None:
        """Compute with these LoRA adapters from the next generation on.

        Raises:
            UnsupportedError: Here, where nothing is known of a backend that has them.
        """
        raise UnsupportedError(f"{type(self).__name__} uses no adapters", hint=_LACKS)

    def set_control_vectors(self, vectors: Iterable[object]) -> None:
        """Compute with these control vectors from the next generation on.

        Raises:
            UnsupportedError: Here, where nothing is known of a backend that has them.
        """
        raise UnsupportedError(f"{type(self).__name__} uses no control vectors", hint=_LACKS)

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

    @property
    def tokens(self) -> list[int]:
        """The history: the prompt tokens processed and the tokens delivered."""
        raise _session_lacks("tokens")

    def rewind(self, *, to: int) -> None:
        """Keep that many tokens of the history and forget the rest."""
        raise _session_lacks("rewind")

    def reset(self) -> None:
        """Forget everything."""
        raise _session_lacks("reset")

    def fork(self) -> Session:
        """A session with the same history, which goes its own way from here."""
        raise _session_lacks("fork")

    def score(
        self,
        text: str | Sequence[int],
        *,
        top: int = 0,
        progress: Callable[[float], object] | None = None,
    ) -> Score:
        """How likely a text is after the history."""
        raise _session_lacks("score")

    def memory_usage(self) -> SessionMemory:
        """What the session has in memory at the moment."""
        raise _session_lacks("memory_usage")

    def state(self) -> bytes:
        """The session as bytes, for ``load_state``."""
        raise _session_lacks("state")

    def save_state(self, target: StateTarget) -> None:
        """Write the session to a file."""
        raise _session_lacks("save_state")

    def load_state(self, source: StateSource) -> None:
        """Become what another session was when it was saved."""
        raise _session_lacks("load_state")

    def chat(self, messages: Messages, **request: Unpack[ChatKeywords]) -> ChatStream:
        """Answer a conversation; see ``Session.chat``.

        Raises:
            UnsupportedError: Unless the backend has it.
        """
        raise no_chat(None)

    def complete_chat(self, messages: Messages, **request: Unpack[ChatKeywords]) -> ChatCompletion:
        """The same as ``chat``, read to its end."""
        with self.chat(messages, **request) as stream:
            for _ in stream:
                pass
            return stream.result

    def infill(
        self,
        prefix: str | Sequence[int],
        suffix: str | Sequence[int],
        **request: Unpack[InfillKeywords],
    ) -> TokenStream:
        """Write what stands between a prefix and a suffix; see ``Session.infill``.

        Raises:
            UnsupportedError: Unless the backend has it.
        """
        raise _session_lacks("infill")

    def complete_infill(
        self,
        prefix: str | Sequence[int],
        suffix: str | Sequence[int],
        **request: Unpack[InfillKeywords],
    ) -> Completion:
        """The same as ``infill``, read to its end."""
        with self.infill(prefix, suffix, **request) as stream:
            for _ in stream:
                pass
            return stream.result


def _session_lacks(method: str) -> UnsupportedError:
    return UnsupportedError(
        f"sessions of this backend have no {method}",
        hint="model.capabilities says what a model can do.",
    )


def no_chat(backend: str | None) -> UnsupportedError:
    """What a backend without chat raises."""
    return UnsupportedError(
        "the backend answers no conversations",
        hint="Write the conversation as a text of the model's format, for session.generate.",
        backend=backend,
    )
