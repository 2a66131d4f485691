"""``Model``: what callers hold of loaded weights and vocabulary, and what backends extend."""

from __future__ import annotations

import os
import threading
import weakref
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from headrace.adapters import Adapter, ControlVector, LoadedAdapter, LoadedHandle
from headrace.common.closing import Closing
from headrace.common.work import Work
from headrace.common.workers import in_worker, let_go
from headrace.errors import ClosedError, UnsupportedError, UsageError
from headrace.params import SamplingParams, SessionParams
from headrace.params.adapters import check_uses
from headrace.reference import ModelReference
from headrace.requests.chat import ChatRequest, Messages, RenderKeywords
from headrace.requests.checks import (
    check_path,
    check_range,
    check_session_params,
    check_text,
    check_tokens,
)
from headrace.requests.spelling import check_keywords, spelled
from headrace.requests.vectors import EmbedKeywords, EmbedRequest, RankKeywords, RankRequest, Texts
from headrace.session import LACKS, Session, no_chat

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from headrace.results import Capability, ModelInfo
    from headrace.results.machine import MemoryUsage, SystemInfo
    from headrace.results.vectors import Embeddings, Ranking
    from headrace.streams.parser import RenderedChat

_Handle = TypeVar("_Handle", bound=LoadedHandle)


class TokenizeKeywords(TypedDict, total=False):
    """The keywords of ``tokenize`` and ``atokenize``."""

    add_special: bool
    parse_special: bool


class Model(Closing):
    """Loaded weights and vocabulary: immutable, shareable between threads.

    A backend extends it with the methods that begin with an underscore; each gets what was
    checked already, from a model that is open and in its own process.

    Args:
        info: What is known of it.
        capabilities: What it can do.
    """

    instead = (
        "Load it again where it is needed: model.reference can be pickled, and its load() gives "
        "the model back."
    )

    def __init__(self, info: ModelInfo, capabilities: frozenset[Capability]) -> None:
        super().__init__()
        self.info = info
        """What is known of it."""
        self._capabilities = capabilities
        self._reference: ModelReference | None = None
        # Reentrant: a signal handler may close the model inside of it.
        self._lock = threading.RLock()
        self._closed = False
        self._identity = object()
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._adapters: weakref.WeakSet[LoadedHandle] = weakref.WeakSet()

    # -- what is known of it ------------------------------------------------

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this model can do."""
        return self._capabilities

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

    def recommended_sampling(self) -> SamplingParams:
        """What the model's makers recommend; the defaults where they say nothing.

        Raises:
            ModelFormatError: If the file recommends a value that is outside its range.
        """
        self._check_open()
        return self._recommended_sampling()

    async def arecommended_sampling(self) -> SamplingParams:
        """``recommended_sampling`` for a task of asyncio or trio."""
        return await in_worker(self.recommended_sampling, cancel=let_go)

    def system_info(self) -> SystemInfo:
        """What the model computes with: build, kernels, threads, devices.

        Raises:
            UnsupportedError: If the backend does not tell.
        """
        self._check_open()
        return self._system_info()

    async def asystem_info(self) -> SystemInfo:
        """``system_info`` for a task of asyncio or trio."""
        return await in_worker(self.system_info, cancel=let_go)

    def memory_usage(self) -> MemoryUsage:
        """What the model and its context have taken; the context is made if there is none yet.

        Raises:
            UnsupportedError: If the backend does not tell, or the model opens no sessions.
            ModelMemoryError: If the memory of the native context cannot be had.
        """
        self._check_open()
        return self._memory_usage()

    async def amemory_usage(self) -> MemoryUsage:
        """``memory_usage`` for a task of asyncio or trio."""
        return await in_worker(self.memory_usage, cancel=let_go)

    # -- text and tokens ----------------------------------------------------

    def tokenize(self, text: str, **options: Unpack[TokenizeKeywords]) -> list[int]:
        """Token ids of a text.

        Args:
            text: Any text; NUL is a character like any other.
            **options: ``add_special=True``: add what the model expects around a text, such as
                BOS. ``parse_special=False``: read special tokens such as ``<eos>`` in the text
                as tokens; otherwise they are plain text. What a model's file calls a
                user-defined token is read as one in any case: see ``docs/chat.md``.

        Raises:
            TokenizeError: For lone surrogates, or a text the library refuses.
        """
        self._check_open()
        check_keywords("tokenize", options, TokenizeKeywords)
        check_text("text", text)
        return self._tokenize(
            text,
            add_special=options.get("add_special", True),
            parse_special=options.get("parse_special", False),
        )

    async def atokenize(self, text: str, **options: Unpack[TokenizeKeywords]) -> list[int]:
        """``tokenize`` for a task of asyncio or trio."""
        return await in_worker(lambda: self.tokenize(text, **options), cancel=let_go)

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """Bytes that the tokens stand for, as one text.

        Args:
            tokens: Token ids.
            special: Render special tokens too, such as ``<eos>``.

        Raises:
            TokenizeError: For an id that is not in the vocabulary.
        """
        self._check_open()
        return self._detokenize(check_tokens("tokens", tokens, self.info.n_vocab), special=special)

    async def adetokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """``detokenize`` for a task of asyncio or trio."""
        return await in_worker(lambda: self.detokenize(tokens, special=special), cancel=let_go)

    @spelled(RenderKeywords, ChatRequest)
    def render_chat(self, messages: Messages, **request: Unpack[RenderKeywords]) -> RenderedChat:
        """A conversation as the model sees it: what ``session.chat`` runs.

        Args:
            messages: The conversation; see ``Session.chat``, also for the keywords.
            **request: As for ``session.chat``.

        Raises:
            ParamsError: For an argument outside its range, naming message and field.
            TemplateError: If there is no template, or it cannot be parsed or rendered.
            UnsupportedError: If the backend has no chat.
        """
        self._check_open()
        from headrace.requests.conversation import check_chat

        check_keywords("render_chat", request, RenderKeywords)
        return self.rendered(check_chat(messages, **request))

    @spelled(RenderKeywords, ChatRequest)
    async def arender_chat(
        self, messages: Messages, **request: Unpack[RenderKeywords]
    ) -> RenderedChat:
        """``render_chat`` for a task of asyncio or trio."""
        return await in_worker(lambda: self.render_chat(messages, **request), cancel=let_go)

    def rendered(self, request: ChatRequest) -> RenderedChat:
        """What ``render_chat`` does, for whoever has the request as a value."""
        self._check_open()
        return self._render(request)

    # -- sessions -----------------------------------------------------------

    def open_session(self, params: SessionParams | None = None) -> Session:
        """A new, empty session.

        The first one makes the native context, which takes a second where it is large.

        Raises:
            UnsupportedError: If the model cannot generate text, or not as the params want it.
            ModelMemoryError: If the memory of the native context cannot be had.
        """
        self._check_open()
        checked = check_session_params(params)
        self.check_adapters(checked)
        session = self._open(checked)
        self.keep(session)
        return session

    async def aopen_session(self, params: SessionParams | None = None) -> Session:
        """``open_session`` for a task; one that is opened for nobody any more is closed."""
        if self._opens_quickly(params):
            return self.open_session(params)
        return await in_worker(
            lambda: self.open_session(params), cancel=let_go, unwanted=Session.close
        )

    # -- vectors ------------------------------------------------------------

    @spelled(EmbedKeywords, EmbedRequest)
    def embed(self, texts: Texts, **options: Unpack[EmbedKeywords]) -> Embeddings:
        """Vectors for texts.

        Several texts are computed in one native call, as many as ``EngineParams.n_ubatch`` tokens
        and ``n_sequences`` allow. Threads may embed on one model; they take turns.

        Args:
            texts: One text or several, each a str or its token ids. To a str the model's special
                tokens are added, so that an empty one is these alone.
            **options: ``pooling``: ``mean``, ``cls``, ``last``, or ``none`` for one vector a
                token; None: what the model was made for. ``normalize=True``: give every vector
                a Euclidean length of 1. ``truncate=False``: cut texts that are too long, keeping
                the special tokens around them. ``as_array=False``: return numpy arrays of
                float32 instead of lists. ``progress``: called with the share of texts done
                after every native call.

        Returns:
            The vectors in the order of the texts, also if it is only one.

        Raises:
            ParamsError: For a wrong argument, or a text without a token.
            TokenizeError: For lone surrogates or ids outside the vocabulary.
            ContextFullError: If a text is too long.
            UnsupportedError: If the model makes no vectors, or numpy is missing.
            ModelMemoryError: If the memory of the context cannot be had.
            DecodeError: If the computation failed.
        """
        return self._embedded(Work(options.pop("progress", None)), texts, options)

    @spelled(EmbedKeywords, EmbedRequest)
    async def aembed(self, texts: Texts, **options: Unpack[EmbedKeywords]) -> Embeddings:
        """``embed`` for a task of asyncio or trio; cancelling the task ends it inside a call.

        ``progress`` is called in a worker thread.
        """
        work = Work(options.pop("progress", None))
        return await in_worker(lambda: self._embedded(work, texts, options), cancel=work.cancel)

    def _embedded(self, work: Work, texts: Texts, options: EmbedKeywords) -> Embeddings:
        self._check_open()
        check_keywords("embed", options, EmbedKeywords)
        # progress was taken out.
        return self.embedded(EmbedRequest(texts=texts, **options), work)  # type: ignore[misc]

    def embedded(self, request: EmbedRequest, work: Work) -> Embeddings:
        """What ``embed`` does, for whoever has the request as a value."""
        self._check_open()
        if request.as_array:
            from headrace.results.vectors import check_numpy

            check_numpy()
        for index, text in enumerate(request.texts):
            if isinstance(text, tuple):
                check_range(f"texts[{index}]", text, self.info.n_vocab)
        return self._embed(request, work)

    @spelled(RankKeywords, RankRequest)
    def rerank(
        self, query: str, documents: Sequence[str], **options: Unpack[RankKeywords]
    ) -> Ranking:
        """How well each document answers the query, by a reranking model.

        Args:
            query: The question.
            documents: What may answer it.
            **options: ``sort=False``: put the best first, equals in their order; otherwise the
                documents' order is kept. ``truncate=False``: cut documents that are too long.
                ``progress``: called with the share of documents done after every native call.

        Raises:
            ParamsError: For a wrong argument.
            TokenizeError: For lone surrogates.
            ContextFullError: If a document together with the query is too long.
            UnsupportedError: If the model is no reranker.
            ModelMemoryError: If the memory of the context cannot be had.
            DecodeError: If the computation failed.
        """
        return self._ranked(Work(options.pop("progress", None)), query, documents, options)

    @spelled(RankKeywords, RankRequest)
    async def arerank(
        self, query: str, documents: Sequence[str], **options: Unpack[RankKeywords]
    ) -> Ranking:
        """``rerank`` for a task of asyncio or trio; cancelling the task ends it inside a call.

        ``progress`` is called in a worker thread.
        """
        work = Work(options.pop("progress", None))
        return await in_worker(
            lambda: self._ranked(work, query, documents, options), cancel=work.cancel
        )

    def _ranked(
        self, work: Work, query: str, documents: Sequence[str], options: RankKeywords
    ) -> Ranking:
        self._check_open()
        check_keywords("rerank", options, RankKeywords)
        request = RankRequest(query=query, documents=documents, **options)  # type: ignore[misc]
        return self.ranked(request, work)

    def ranked(self, request: RankRequest, work: Work) -> Ranking:
        """What ``rerank`` does, for whoever has the request as a value."""
        self._check_open()
        return self._rank(request, work)

    # -- adapters -----------------------------------------------------------

    def load_adapter(self, path: str | os.PathLike[str]) -> Adapter:
        """Load a LoRA adapter for this model's sessions; it is closed with the model.

        Args:
            path: Its file, or what else the backend understands.

        Raises:
            ModelNotFoundError: If there is no such file.
            ModelFormatError: If it is something else than a LoRA adapter, or damaged.
            ModelLoadError: If it was made for another model.
            ModelMemoryError: If there is no memory for it.
            UnsupportedError: If the model opens no sessions, or its backend has no adapters.
        """
        self._check_open()
        loaded = self._load_adapter(check_path("path", path))
        return self._kept(Adapter(loaded, self._identity))

    async def aload_adapter(self, path: str | os.PathLike[str]) -> Adapter:
        """``load_adapter`` for a task; one that is loaded for nobody any more is closed."""
        return await in_worker(
            lambda: self.load_adapter(path), cancel=let_go, unwanted=Adapter.close
        )

    def load_control_vector(self, path: str | os.PathLike[str]) -> ControlVector:
        """Load a control vector for this model's sessions; see ``load_adapter`` for the errors."""
        self._check_open()
        loaded = self._load_control_vector(check_path("path", path))
        return self._kept(ControlVector(loaded, self._identity))

    async def aload_control_vector(self, path: str | os.PathLike[str]) -> ControlVector:
        """``load_control_vector`` for a task; see ``aload_adapter``."""
        return await in_worker(
            lambda: self.load_control_vector(path), cancel=let_go, unwanted=ControlVector.close
        )

    def check_adapters(self, params: SessionParams) -> None:
        """Raise unless the adapters that a session is to use are this model's, and open.

        Raises:
            ParamsError: For one that another model has loaded.
            ClosedError: For one that was closed.
        """
        check_uses(params.uses, self._identity)

    def open_drafter(self, target: Any, min_probability: float) -> Any:
        """What drafts with this model for a session of another; see ``DraftModel``.

        Raises:
            UnsupportedError: Unless the models share an engine's ways.
        """
        raise self._lacks("open_drafter")

    # -- ending -------------------------------------------------------------

    def close(self) -> None:
        """Close the sessions, wait for a running step, free the weights."""
        if self._closed or not self._in_own_process():
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._close()

    def keep(self, session: Session) -> None:
        """Have a session closed with the model.

        Raises:
            ClosedError: If the model was closed meanwhile; the session is closed, too.
        """
        with self._lock:
            if not self._closed:
                self._sessions.add(session)
                return
        session.close()
        raise self._closed_error()

    def _kept(self, handle: _Handle) -> _Handle:
        """Have an adapter closed with the model."""
        with self._lock:
            if not self._closed:
                self._adapters.add(handle)
                return handle
        handle.close()
        raise self._closed_error()

    def _close_sessions(self) -> None:
        for session in self._all(self._sessions):
            session.close()

    def _close_adapters(self) -> None:
        for handle in self._all(self._adapters):
            handle.close()

    def _all(self, owned: weakref.WeakSet[Any]) -> list[Any]:
        with self._lock:
            return list(owned)

    def _check_open(self) -> None:
        """Raise if the model was closed, or belongs to another process."""
        self._check_process()
        if self._closed:
            raise self._closed_error()

    def _closed_error(self) -> ClosedError:
        return ClosedError("the model was closed", backend=self.info.backend)

    def _described(self) -> str:
        return self.info.description + (": closed" if self._closed else "")

    def _lacks(self, method: str) -> UnsupportedError:
        return UnsupportedError(
            f"{type(self).__name__} has no {method}", hint=LACKS, backend=self.info.backend
        )

    # -- what a backend says and does ---------------------------------------

    @abstractmethod
    def _open(self, params: SessionParams) -> Session:
        """A new, empty session."""

    def _close(self) -> None:
        """Free everything, once; this closes the sessions and adapters."""
        self._close_sessions()
        self._close_adapters()

    def _opens_quickly(self, params: Any) -> bool:
        """Whether an event loop may open such a session: it never waits. Unchecked params."""
        return False

    def _tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        raise self._lacks("tokenize")

    def _detokenize(self, tokens: list[int], *, special: bool) -> bytes:
        raise self._lacks("detokenize")

    def _render(self, request: ChatRequest) -> RenderedChat:
        raise no_chat(self.info.backend)

    def _embed(self, request: EmbedRequest, work: Work) -> Embeddings:
        raise self._lacks("embed")

    def _rank(self, request: RankRequest, work: Work) -> Ranking:
        raise self._lacks("rerank")

    def _recommended_sampling(self) -> SamplingParams:
        return SamplingParams()

    def _system_info(self) -> SystemInfo:
        raise self._lacks("system_info")

    def _memory_usage(self) -> MemoryUsage:
        raise self._lacks("memory_usage")

    def _load_adapter(self, path: str) -> LoadedAdapter:
        raise self._lacks("load_adapter")

    def _load_control_vector(self, path: str) -> LoadedAdapter:
        raise self._lacks("load_control_vector")
