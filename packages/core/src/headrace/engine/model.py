"""``EngineModel``: the waist's ``Model`` over a library's ``DecoderModel``."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from headrace.adapters import Adapter, ControlVector, LoadedHandle
from headrace.backend.abilities import AdapterModel, ChatFormatter, RecommendsSampling, TellsSystem
from headrace.backend.decoder import DecoderModel, Truncation
from headrace.bases import no_chat
from headrace.common.workers import in_worker, let_go
from headrace.engine import usage
from headrace.engine.checked import CheckedDecoder
from headrace.engine.checked_parser import CheckedParser
from headrace.engine.draft_model import ModelDrafter, check_same_vocabulary
from headrace.engine.embedding import EmbeddingMethods
from headrace.engine.scheduler import Engine
from headrace.engine.session import EngineSession
from headrace.errors import ClosedError, UnsupportedError
from headrace.params import EngineParams, SamplingParams, SessionParams
from headrace.params.adapters import check_uses
from headrace.requests.checks import (
    check_path,
    check_session_params,
    check_text,
    check_tokens,
)
from headrace.requests.conversation import check_chat
from headrace.results import Capability
from headrace.results.machine import MemoryUsage, SystemInfo
from headrace.streams.parser import RenderedChat

_WITHOUT_SESSIONS = {Capability.TOKENIZE, Capability.EMBED, Capability.RERANK}
_Handle = TypeVar("_Handle", bound=LoadedHandle)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from headrace.requests.keywords import Messages, RenderKeywords


class EngineModel(EmbeddingMethods):
    """A loaded model whose sessions share one engine.

    The engine, and with it the native context, is made when the first session
    opens; after a step has poisoned it, the next session gets a new one.

    Args:
        model: What the backend loaded; closed with this object.
        params: Settings of the engine.
        capabilities: What the model can do if it opens sessions at all.
    """

    def __init__(
        self,
        model: DecoderModel,
        params: EngineParams,
        capabilities: frozenset[Capability],
    ) -> None:
        super().__init__(model, params)
        self._capabilities = capabilities
        self._engine: Engine | None = None
        self._lock = threading.RLock()
        self._closed = False
        self._identity = object()
        self._drafters: weakref.WeakSet[ModelDrafter] = weakref.WeakSet()
        self._adapters: weakref.WeakSet[LoadedHandle] = weakref.WeakSet()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this model can do."""
        if self._generate_hint() is None:
            return self._capabilities
        return self._capabilities & _WITHOUT_SESSIONS

    def _generate_hint(self) -> str | None:
        with self._seam.during("generate_hint"):
            return self._model.generate_hint()

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Token ids of a text.

        Args:
            text: Any text; NUL is a character like any other.
            add_special: Add what the model expects around a text, such as BOS.
            parse_special: Read special tokens such as ``<eos>`` in the text as
                tokens; otherwise they are plain text. What a model's file calls a
                user-defined token is read as one in any case: see ``docs/chat.md``.

        Raises:
            TokenizeError: For lone surrogates, or a text the library refuses.
        """
        self._check_open()
        check_text("text", text)
        return self._vocabulary.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """Bytes that the tokens stand for, as one text.

        Args:
            tokens: Token ids.
            special: Render special tokens too, such as ``<eos>``.

        Raises:
            TokenizeError: For an id that is not in the vocabulary.
        """
        self._check_open()
        ids = check_tokens("tokens", tokens, self._vocabulary.n_tokens)
        return self._vocabulary.detokenize(ids, special=special)

    def render_chat(self, messages: Messages, **request: Unpack[RenderKeywords]) -> RenderedChat:
        """A conversation as the model sees it: what ``session.chat`` runs.

        Args:
            messages: The conversation; see ``Session.chat``, also for the keywords.

        Raises:
            ParamsError: For an argument outside its range, naming message and field.
            TemplateError: If there is no template, or it cannot be parsed or rendered.
            UnsupportedError: If the backend has no chat.
        """
        self._check_open()
        checked = check_chat(messages, **request)
        if not isinstance(self._model, ChatFormatter):
            raise no_chat(self.info.backend)
        with self._seam.during("render_chat"):
            rendered = self._model.render_chat(checked)
        if not isinstance(rendered, RenderedChat):
            raise self._seam.breach("render_chat", f"{rendered!r:.60} instead of a RenderedChat")
        return attrs.evolve(rendered, parser=CheckedParser(rendered.parser, self._seam))

    def open_session(self, params: SessionParams | None = None) -> EngineSession:
        """A new, empty session.

        The first one makes the native context, which takes a second where it is large.

        Raises:
            UnsupportedError: If the model cannot generate text.
            ModelMemoryError: If the memory of the native context cannot be had.
        """
        params = self._openable(params)
        with self._lock:
            self._check_open()
            engine = self._usable_engine()
        # Outside the lock: it takes the engine's mutex, in which a signal handler
        # may be waiting for the lock to close the model.
        return EngineSession(self, engine, params)

    async def aopen_session(self, params: SessionParams | None = None) -> EngineSession:
        """``open_session`` for a task: a worker thread makes the native context if there is none.

        A session that is opened for a task that was cancelled meanwhile is closed.
        """
        # Read once, without the lock: another thread holds that as long as it makes a context.
        engine = self._engine
        ready = engine is not None and engine.failure is None
        speculates = isinstance(params, SessionParams) and params.speculate is not None
        if engine is not None and ready and not speculates:
            return EngineSession(self, engine, self._openable(params))
        return await in_worker(
            lambda: self.open_session(params), cancel=let_go, unwanted=EngineSession.close
        )

    def _openable(self, params: Any) -> SessionParams:
        """The settings of a session that may be opened, as far as is known without a context."""
        self._check_open()
        hint = self._generate_hint()
        if hint is not None:
            raise UnsupportedError(
                f"the model {self.info.name!r} opens no session",
                hint=hint,
                backend=self.info.backend,
            )
        checked = check_session_params(params)
        self.check_adapters(checked)
        return checked

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
        source = self._adapter_model(Capability.LORA, "adapters")
        path = check_path("path", path)
        with self._seam.during("load_adapter"):
            loaded = source.load_adapter(path)
        return self._keep(Adapter(loaded, self._identity))

    def load_control_vector(self, path: str | os.PathLike[str]) -> ControlVector:
        """Load a control vector for this model's sessions; see ``load_adapter`` for the errors."""
        source = self._adapter_model(Capability.CONTROL_VECTORS, "control vectors")
        path = check_path("path", path)
        with self._seam.during("load_control_vector"):
            loaded = source.load_control_vector(path)
        return self._keep(ControlVector(loaded, self._identity))

    def _adapter_model(self, capability: Capability, what: str) -> AdapterModel:
        self._check_open()
        hint = self._generate_hint()
        able = capability in self.capabilities and isinstance(self._model, AdapterModel)
        if hint is not None or not able:
            raise UnsupportedError(
                f"the model {self.info.name!r} loads no {what}",
                hint=hint or f"The backend {self.info.backend!r} has none.",
                backend=self.info.backend,
            )
        return cast("AdapterModel", self._model)

    def _keep(self, handle: _Handle) -> _Handle:
        """Have it closed with the model."""
        with self._lock:
            if not self._closed:
                self._adapters.add(handle)
                return handle
        handle.close()
        raise ClosedError("the model was closed", backend=self.info.backend)

    def check_adapters(self, params: SessionParams) -> None:
        """Raise unless the adapters that a session is to use are this model's, and open.

        Raises:
            ParamsError: For one that another model has loaded.
            ClosedError: For one that was closed.
        """
        check_uses(params.uses, self._identity)

    def recommended_sampling(self) -> SamplingParams:
        """What the model's makers recommend; the defaults where they say nothing.

        Raises:
            ModelFormatError: If the file recommends a value that is outside its range.
        """
        self._check_open()
        if not isinstance(self._model, RecommendsSampling):
            return super().recommended_sampling()
        with self._seam.during("recommended_sampling"):
            found = self._model.recommended_sampling()
        if not isinstance(found, SamplingParams):
            raise self._seam.breach("recommended_sampling", f"{found!r:.60}")
        return found

    def system_info(self) -> SystemInfo:
        """What the model computes with: build, kernels, threads, devices.

        Raises:
            UnsupportedError: If the backend does not tell.
        """
        self._check_open()
        if not isinstance(self._model, TellsSystem):
            return super().system_info()
        with self._seam.during("system_info"):
            found = self._model.system_info(self.engine_params)
        if not isinstance(found, SystemInfo):
            raise self._seam.breach("system_info", f"{found!r:.60} instead of a SystemInfo")
        return found

    def memory_usage(self) -> MemoryUsage:
        """What the model and its context have taken; the context is made if there is none yet.

        Raises:
            UnsupportedError: If the backend does not tell, or the model opens no sessions.
            ModelMemoryError: If the memory of the native context cannot be had.
        """
        with self.open_session() as session:
            return usage.of_engine(session.engine)

    def open_drafter(self, target: Engine, min_probability: float) -> ModelDrafter:
        """What drafts with this model for a session of another; closed before this model is.

        Raises:
            ParamsError: If the models' vocabularies differ.
            UnsupportedError: If this model cannot generate text, or its memory cannot forget.
            ModelMemoryError: If the memory of the native context cannot be had.
        """
        self._check_open()
        check_same_vocabulary((target.model_info, target.vocabulary), (self.info, self._vocabulary))
        params = attrs.evolve(
            self.engine_params, n_sequences=1, n_ctx=target.info.n_ctx_sequence, divided=False
        )
        with self._lock:
            self._check_open()
            decoder = self._open_decoder(params)
            drafter = ModelDrafter(decoder, min_probability)
            self._drafters.add(drafter)
        if decoder.info.truncation is Truncation.NONE:
            drafter.close()
            raise UnsupportedError(
                f"{self.info.name!r} cannot draft: its memory cannot forget what was rejected",
                hint="Draft with a model without a recurrent state, or with PromptLookup.",
                backend=self.info.backend,
            )
        return drafter

    def _usable_engine(self) -> Engine:
        engine = self._engine
        if engine is not None and engine.failure is not None:
            self._engine = None  # also if no new one can be had
            engine.close(then=lambda: None)
            engine = None
        if engine is None:
            decoder = self._open_decoder(self.engine_params)
            engine = Engine(decoder, self._vocabulary, self.info, self.engine_params)
            self._engine = engine
        return engine

    def _open_decoder(self, params: EngineParams) -> CheckedDecoder:
        with self._seam.during("open_decoder"):
            decoder = self._model.open_decoder(params)
        return CheckedDecoder(
            decoder, n_tokens=self._vocabulary.n_tokens, backend=self.info.backend
        )

    def close(self) -> None:
        """Close the sessions, wait for a running step, free the weights."""
        if self._closed or not self._in_own_process():
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            engine, self._engine = self._engine, None
        self._embedders.close()
        for drafter in list(self._drafters):
            drafter.close()
        if engine is None:
            self._free()
        else:
            engine.close(then=self._free)

    def _free(self) -> None:
        """Free the adapters, and then the weights that they belong to."""
        for handle in list(self._adapters):
            handle.close()
        with self._seam.during("close"):
            self._model.close()

    def _check_open(self) -> None:
        self._check_process()
        if self._closed:
            raise ClosedError("the model was closed", backend=self.info.backend)

    def _described(self) -> str:
        state = "closed" if self._closed else self.info.description
        return f"{self.info.name!r}: {state}"
