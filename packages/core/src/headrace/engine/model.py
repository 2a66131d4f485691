"""``EngineModel``: a ``Model`` over a library's ``DecoderModel``."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, cast

import attrs

from headrace.adapters import LoadedAdapter
from headrace.backend.abilities import (
    AdapterModel,
    ChatFormatter,
    RecommendsSampling,
    TellsSystem,
)
from headrace.backend.decoder import DecoderModel, Truncation
from headrace.common.seam import Seam
from headrace.common.work import Work
from headrace.engine.checked import CheckedDecoder, CheckedVocabulary
from headrace.engine.engine import Engine
from headrace.engine.session import EngineSession
from headrace.engine.state import EngineState
from headrace.errors import UnsupportedError
from headrace.masks.guide import Guide
from headrace.model import Model
from headrace.params import EngineParams, SamplingParams, SessionParams
from headrace.results import Capability

if TYPE_CHECKING:
    from headrace.engine.draft_model import ModelDrafter
    from headrace.engine.vectors import Vectors
    from headrace.requests.chat import ChatRequest
    from headrace.requests.vectors import EmbedRequest, RankRequest
    from headrace.results.machine import MemoryUsage, SystemInfo
    from headrace.results.vectors import Embeddings, Ranking
    from headrace.streams.parser import RenderedChat
    from headrace.streams.plain_text import ControlTexts

_WITHOUT_SESSIONS = {Capability.TOKENIZE, Capability.EMBED, Capability.RERANK}


class EngineModel(Model):
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
        super().__init__(model.info, capabilities)
        self.engine_params = params
        self._model = model
        self._seam = Seam(self.info.backend)
        self._vocabulary = CheckedVocabulary(model.vocabulary, self._seam)
        self._vectors: Vectors | None = None
        self._guide = Guide(self._vocabulary)
        self._controls: ControlTexts | None = None
        if params.prepare_grammar and Capability.GRAMMAR in self.capabilities:
            self._guide.prepare()
        self._engine: Engine | None = None
        self._drafters: weakref.WeakSet[ModelDrafter] = weakref.WeakSet()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this model can do."""
        if self._generate_hint() is None:
            return self._capabilities
        return self._capabilities & _WITHOUT_SESSIONS

    def _generate_hint(self) -> str | None:
        with self._seam.during("generate_hint"):
            return self._model.generate_hint()

    # -- text, conversations, vectors ---------------------------------------

    def _tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._vocabulary.tokenize(text, add_special=add_special, parse_special=parse_special)

    def _detokenize(self, tokens: list[int], *, special: bool) -> bytes:
        return self._vocabulary.detokenize(tokens, special=special)

    def _render(self, request: ChatRequest) -> RenderedChat:
        if not isinstance(self._model, ChatFormatter):
            return super()._render(request)
        from headrace.requests.tools_in_prompt import in_prompt
        from headrace.streams.continued import continued
        from headrace.streams.plain_text import rendered_as_text
        from headrace.streams.prompted import reading_calls

        return rendered_as_text(
            request,
            self._control_texts(),
            lambda asked: reading_calls(asked, continued(in_prompt(asked), self._formatted)),
        )

    def _control_texts(self) -> ControlTexts:
        """What is not to be read as a token in a message; found once."""
        if self._controls is None:
            from headrace.streams.plain_text import ControlTexts

            vocabulary = self._vocabulary
            silent = [token for token, piece in enumerate(vocabulary.pieces()) if not piece]
            self._controls = ControlTexts(
                vocabulary.detokenize([token], special=True).decode(errors="replace")
                for token in silent
            )
        return self._controls

    def _formatted(self, request: ChatRequest) -> RenderedChat:
        """A conversation as the backend renders it."""
        assert isinstance(self._model, ChatFormatter)
        from headrace.engine.checked_parser import CheckedParser
        from headrace.streams.parser import RenderedChat

        with self._seam.during("render_chat"):
            rendered = self._model.render_chat(request)
        if not isinstance(rendered, RenderedChat):
            raise self._seam.breach("render_chat", f"{rendered!r:.60} instead of a RenderedChat")
        return attrs.evolve(rendered, parser=CheckedParser(rendered.parser, self._seam))

    def _embed(self, request: EmbedRequest, work: Work) -> Embeddings:
        return self._making_vectors().embed(request, work)

    def _rank(self, request: RankRequest, work: Work) -> Ranking:
        return self._making_vectors().rank(request, work)

    def _making_vectors(self) -> Vectors:
        """What computes them; models that write texts seldom have it."""
        from headrace.engine.vectors import Vectors

        with self._lock:
            if self._vectors is None:
                self._vectors = Vectors(
                    self._model, self.engine_params, self._vocabulary, self._seam
                )
            self._check_open()  # a signal handler may have closed the model in here
            return self._vectors

    # -- sessions -----------------------------------------------------------

    def _open(self, params: SessionParams) -> EngineSession:
        self._check_able()
        with self._lock:
            self._check_open()
            engine = self._usable_engine()
        # Outside the lock: it takes the engine's mutex, in which a signal handler
        # may be waiting for the lock to close the model.
        return EngineSession(self, engine, self._guide, params)

    def _opens_quickly(self, params: Any) -> bool:
        # Read once, without the lock: another thread holds that as long as it makes a context.
        engine = self._engine
        speculates = isinstance(params, SessionParams) and params.speculate is not None
        return engine is not None and engine.failure is None and not speculates

    def _check_able(self) -> None:
        hint = self._generate_hint()
        if hint is not None:
            raise UnsupportedError(
                f"the model {self.info.name!r} opens no session",
                hint=hint,
                backend=self.info.backend,
            )

    def _load_adapter(self, path: str) -> LoadedAdapter:
        source = self._adapter_model(Capability.LORA, "adapters")
        with self._seam.during("load_adapter"):
            return source.load_adapter(path)

    def _load_control_vector(self, path: str) -> LoadedAdapter:
        source = self._adapter_model(Capability.CONTROL_VECTORS, "control vectors")
        with self._seam.during("load_control_vector"):
            return source.load_control_vector(path)

    def _adapter_model(self, capability: Capability, what: str) -> AdapterModel:
        hint = self._generate_hint()
        able = capability in self.capabilities and isinstance(self._model, AdapterModel)
        if hint is not None or not able:
            raise UnsupportedError(
                f"the model {self.info.name!r} loads no {what}",
                hint=hint or f"The backend {self.info.backend!r} has none.",
                backend=self.info.backend,
            )
        return cast("AdapterModel", self._model)

    # -- what it says of itself ---------------------------------------------

    def _recommended_sampling(self) -> SamplingParams:
        if not isinstance(self._model, RecommendsSampling):
            return super()._recommended_sampling()
        with self._seam.during("recommended_sampling"):
            found = self._model.recommended_sampling()
        if not isinstance(found, SamplingParams):
            raise self._seam.breach("recommended_sampling", f"{found!r:.60}")
        return found

    def _system_info(self) -> SystemInfo:
        if not isinstance(self._model, TellsSystem):
            return super()._system_info()
        from headrace.results.machine import SystemInfo

        with self._seam.during("system_info"):
            found = self._model.system_info(self.engine_params)
        if not isinstance(found, SystemInfo):
            raise self._seam.breach("system_info", f"{found!r:.60} instead of a SystemInfo")
        return found

    def _memory_usage(self) -> MemoryUsage:
        from headrace.engine import usage

        with self._open(SessionParams()) as session:
            return usage.of_engine(session.engine)

    # -- the engine ---------------------------------------------------------

    def open_drafter(self, target: EngineState, min_probability: float) -> ModelDrafter:
        """What drafts with this model for a session of another; closed before this model is.

        Raises:
            ParamsError: If the models' vocabularies differ.
            UnsupportedError: If this model cannot generate text, or its memory cannot forget.
            ModelMemoryError: If the memory of the native context cannot be had.
        """
        from headrace.engine.draft_model import ModelDrafter, check_same_vocabulary

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

    def _close(self) -> None:
        engine, self._engine = self._engine, None
        if self._vectors is not None:
            self._vectors.close()
        for drafter in self._all(self._drafters):
            drafter.close()
        if engine is None:
            self._free()
        else:
            engine.close(then=self._free)

    def _free(self) -> None:
        """Free the adapters, and then the weights that they belong to."""
        self._close_adapters()
        with self._seam.during("close"):
            self._model.close()

    def _described(self) -> str:
        state = "closed" if self._closed else self.info.description
        return f"{self.info.name!r}: {state}"
