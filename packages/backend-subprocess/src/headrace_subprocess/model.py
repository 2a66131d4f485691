"""A model in the child, as its user in the parent sees it."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from headrace.adapters import Adapter, AdapterInfo, ControlVector, LoadedHandle
from headrace.bases import ModelBase
from headrace.common.workers import in_worker
from headrace.errors import BackendCrashedError, ClosedError, ParamsError
from headrace.params import SamplingParams, SessionParams
from headrace.params.adapters import check_uses
from headrace.params.speculation import DraftModel
from headrace.requests.checks import (
    check_flags,
    check_path,
    check_session_params,
    check_tokens,
)
from headrace.requests.conversation import check_chat
from headrace.requests.keywords import Texts
from headrace.results import Capability, ModelInfo
from headrace.results.machine import MemoryUsage, SystemInfo
from headrace.results.vectors import Embeddings, Ranking, check_numpy
from headrace.streams.parser import RenderedChat
from headrace_subprocess import wire
from headrace_subprocess.calls import Call
from headrace_subprocess.handles import RemoteAdapter, rendered_chat
from headrace_subprocess.patience import Patience
from headrace_subprocess.session import SubprocessSession
from headrace_subprocess.vectors import plain_texts, shaped
from headrace_subprocess.worker import Others, Worker

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from headrace.requests.keywords import Messages, RenderKeywords

_Handle = TypeVar("_Handle", bound=LoadedHandle)


class SubprocessModel(ModelBase):
    """A handle of what the child has loaded.

    Args:
        worker: The child; ended when the model is closed.
        info: What the backend says of the model.
        capabilities: What it can do.
        channel: A channel for calls of the model.
    """

    def __init__(
        self,
        worker: Worker,
        info: ModelInfo,
        capabilities: frozenset[Capability],
        channel: wire.Channel,
    ) -> None:
        super().__init__()
        self.info = info
        self.worker = worker
        self._capabilities = capabilities
        self._numbers = itertools.count(1)
        self._sessions: weakref.WeakSet[SubprocessSession] = weakref.WeakSet()
        # Channels for calls that nobody is using: calls of several threads run side by side.
        self._idle_channels = [channel]
        self._handles: weakref.WeakSet[LoadedHandle] = weakref.WeakSet()
        self._identity = object()
        self._lock = threading.RLock()
        self._closed = False

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this model can do."""
        return self._capabilities

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Token ids of a text; see ``Model``."""
        tokens: list[int] = self._model_call(
            "tokenize", text, add_special=add_special, parse_special=parse_special
        )
        return tokens

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """Bytes that the tokens stand for; see ``Model``."""
        ids = check_tokens("tokens", tokens, self.info.n_vocab)
        data: bytes = self._model_call("detokenize", ids, special=special)
        return data

    def render_chat(self, messages: Messages, **request: Unpack[RenderKeywords]) -> RenderedChat:
        """A conversation as the model sees it; the child renders, and reads the answers."""
        self.check_open()
        check_chat(messages, **request)
        told = self.call("render", self.next_number(), list(messages), dict(request))
        return rendered_chat(self, told)

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
        """Vectors for texts; see ``Model``. Arrays are made in this process."""
        call = self._embedding(texts, pooling, normalize, truncate, as_array, progress)
        return shaped(call.run(tuple), normalize=normalize, arrays=as_array)

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
        """``embed`` for a task of asyncio or trio; ``progress`` is called in a worker thread."""
        call = self._embedding(texts, pooling, normalize, truncate, as_array, progress)
        return await in_worker(
            lambda: shaped(call.run(tuple), normalize=normalize, arrays=as_array),
            cancel=call.cancel,
        )

    def _embedding(
        self,
        texts: Texts,
        pooling: str | None,
        normalize: bool,
        truncate: bool,
        as_array: bool,
        progress: Callable[[float], object] | None,
    ) -> Call:
        self.check_open()
        check_flags(normalize=normalize, truncate=truncate, as_array=as_array)
        if as_array:
            check_numpy()
        options = {"pooling": pooling, "truncate": truncate}
        return Call(self, 0, "embed", [plain_texts(texts)], options, progress)

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        sort: bool = False,
        truncate: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> Ranking:
        """How well each document answers the query; see ``Model``."""
        return self._ranking(query, documents, sort, truncate, progress).run(Ranking)

    async def arerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        sort: bool = False,
        truncate: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> Ranking:
        """``rerank`` for a task of asyncio or trio; ``progress`` is called in a worker thread."""
        call = self._ranking(query, documents, sort, truncate, progress)
        return await in_worker(lambda: call.run(Ranking), cancel=call.cancel)

    def _ranking(
        self,
        query: str,
        documents: Sequence[str],
        sort: bool,
        truncate: bool,
        progress: Callable[[float], object] | None,
    ) -> Call:
        self.check_open()
        options = {"sort": sort, "truncate": truncate}
        return Call(self, 0, "rerank", [query, documents], options, progress)

    def recommended_sampling(self) -> SamplingParams:
        """What the model's makers recommend; the defaults where they say nothing."""
        sampling: SamplingParams = self._model_call("recommended_sampling")
        return sampling

    def system_info(self) -> SystemInfo:
        """What the model computes with: build, kernels, threads, devices."""
        info: SystemInfo = self._model_call("system_info")
        return info

    def memory_usage(self) -> MemoryUsage:
        """What the model and its context have taken, in the child."""
        usage: MemoryUsage = self._model_call("memory_usage")
        return usage

    def load_adapter(self, path: str | os.PathLike[str]) -> Adapter:
        """Load a LoRA adapter for this model's sessions; see ``Model``."""
        return self._keep(Adapter(self._load_handle("load_adapter", path), self._identity))

    def load_control_vector(self, path: str | os.PathLike[str]) -> ControlVector:
        """Load a control vector for this model's sessions; see ``Model``."""
        loaded = self._load_handle("load_control_vector", path)
        return self._keep(ControlVector(loaded, self._identity))

    def _load_handle(self, method: str, path: str | os.PathLike[str]) -> RemoteAdapter:
        self.check_open()
        text, number = check_path("path", path), self.next_number()
        # The child stays in the folder that this process was in when it loaded the model.
        text = os.path.abspath(text) if os.path.exists(text) else text
        info = self.call("handle", number, method, text)
        if not isinstance(info, AdapterInfo):
            raise self.worker.nonsense(method, info)
        return RemoteAdapter(self.worker, number, info)

    def _keep(self, handle: _Handle) -> _Handle:
        """Have it closed with the model."""
        with self._lock:
            self._handles.add(handle)
        return handle

    def sendable(self, params: SessionParams) -> tuple[SessionParams, list[Any]]:
        """A session's params for the child, without and with only what lives there.

        Raises:
            ParamsError: For adapters of another model, or a draft model.
            ClosedError: For an adapter that was closed.
        """
        check_uses(params.uses, self._identity)
        if isinstance(params.speculate, DraftModel):
            raise ParamsError(
                "SessionParams.speculate must not be a DraftModel with isolation='process': the "
                "two models do not share a process",
                hint="Use PromptLookup, or load both models without isolation.",
                backend=self.info.backend,
            )
        uses = [
            [
                use.handle.loaded.number,  # type: ignore[attr-defined]
                use.scale,
                getattr(use, "first_layer", None),
                getattr(use, "last_layer", None),
            ]
            for use in params.uses
        ]
        return attrs.evolve(params, adapters=(), control_vectors=()), uses

    def next_number(self) -> int:
        """A number that names something in the child."""
        return next(self._numbers)

    def open_session(self, params: SessionParams | None = None) -> SubprocessSession:
        """A new, empty session; see ``Model``."""
        self.check_open()
        params = check_session_params(params)
        return self._kept(SubprocessSession(self, params, self.next_number()))

    def open_fork(self, source: SubprocessSession) -> SubprocessSession:
        """A fork of a session."""
        return self._kept(SubprocessSession(self, source.params, self.next_number(), source))

    def _kept(self, session: SubprocessSession) -> SubprocessSession:
        with self._lock:
            self._sessions.add(session)
        return session

    def _model_call(self, method: str, *arguments: Any, **options: Any) -> Any:
        self.check_open()
        return self.call("model", method, list(arguments), options)

    def call(
        self, *message: Any, on: Others | None = None, patience: Patience | None = None
    ) -> Any:
        """A request beside the sessions' channels, and its answer; see ``Worker.request``."""
        channel = self._borrow(patience)
        try:
            return self.worker.request(channel, *message, on=on, patience=patience)
        except BackendCrashedError:
            if self._closed:
                raise self._closed_error() from None
            raise
        finally:
            # One that an answer is still on its way in is dropped.
            if channel.synchronous:
                self._idle_channels.append(channel)

    def _borrow(self, patience: Patience | None) -> wire.Channel:
        try:
            return self._idle_channels.pop()
        except IndexError:
            return self.worker.open_channel(patience)

    def close(self) -> None:
        """End the child: it gets a short while to close the model in order."""
        if self._closed or not self._in_own_process():
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            sessions = list(self._sessions)
        for session in sessions:
            session.close()
        for handle in list(self._handles):
            handle.close()
        self.worker.close()

    def check_open(self) -> None:
        """Raise if the model was closed, or belongs to another process."""
        self._check_process()
        if self._closed:
            raise self._closed_error()

    def _closed_error(self) -> ClosedError:
        return ClosedError("the model was closed", backend=self.info.backend)

    def _described(self) -> str:
        state = "closed" if self._closed else f"in process {self.worker.pid}"
        return f"{self.info.name!r}: {state}"
