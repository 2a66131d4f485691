"""``EngineSession``: a ``Session`` over one sequence of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace._version import __version__
from headrace.backend.prompts import check_prompt, check_scored, draw_seed, is_short
from headrace.common.work import Work
from headrace.engine.engine import Engine
from headrace.engine.generation import EngineGeneration
from headrace.errors import ClosedError
from headrace.params import SamplingParams, SessionParams
from headrace.requests.chat import ChatRequest
from headrace.requests.generation import GenerateRequest
from headrace.requests.infill import InfillRequest
from headrace.requests.sampling import check_sampling
from headrace.results import StopReason
from headrace.session import Session
from headrace.streams.generation import Begun, BegunChat

if TYPE_CHECKING:
    from headrace.engine.state import Run
    from headrace.masks.guide import Guide
    from headrace.masks.matcher import Matcher
    from headrace.model import Model
    from headrace.requests.score import ScoreRequest
    from headrace.results.machine import SessionMemory
    from headrace.results.score import Score


class EngineSession(Session):
    """A conversation whose sequence shares a decoder with others."""

    def __init__(self, model: Model, engine: Engine, guide: Guide, params: SessionParams) -> None:
        super().__init__(model, params)
        self._model = model
        self._engine = engine
        self._guide = guide
        self._sequence = engine.open_sequence(params)

    @property
    def engine(self) -> Engine:
        """What computes it, shared with the model's other sessions."""
        return self._engine

    # -- generating ---------------------------------------------------------

    def _begin(self, request: GenerateRequest | ChatRequest | InfillRequest) -> Begun:
        if isinstance(request, ChatRequest):
            return self._begin_chat(request)
        if isinstance(request, InfillRequest):
            return self._begin_infill(request)
        tokens = check_prompt(request.prompt, self._model, history=bool(self._sequence.line))
        run = self._engine.generate(
            self._sequence,
            tokens,
            sampling=request.sampling,
            seed=draw_seed(request.sampling),
            max_tokens=request.max_tokens,
            ignore_eog=request.ignore_eog,
            matcher=self._matcher(request.sampling, ban_eog=request.ignore_eog),
            beginning=request,
        )
        return self._begun(run)

    def _begin_chat(self, request: ChatRequest) -> Begun:
        from headrace.engine.chat import conversation

        asked = conversation(self._model, request)
        check_sampling(asked.sampling, self._model.info, self._model.capabilities)
        run, kept = self._engine.begin_anew(
            self._sequence,
            asked.tokens,
            what="conversation",
            remedy="Leave out old messages",
            sampling=asked.sampling,
            max_tokens=request.max_tokens,
            matcher=self._matcher(asked.sampling),
            spoken=asked.spoken,
            beginning=request,
        )
        chat = BegunChat(asked.rendered, prompt_tokens=len(asked.tokens), reused=kept)
        return self._begun(run, chat)

    def _begin_infill(self, request: InfillRequest) -> Begun:
        from headrace.engine import infill

        run, _ = self._engine.begin_anew(
            self._sequence,
            infill.tokens_of(self._model, request),
            what="file",
            remedy="Shorten prefix, suffix or extra",
            sampling=request.sampling,
            max_tokens=request.max_tokens,
            ignore_eog=request.ignore_eog,
            matcher=self._matcher(request.sampling, ban_eog=request.ignore_eog),
            beginning=request,
        )
        return self._begun(run)

    def _matcher(self, sampling: SamplingParams, *, ban_eog: bool = False) -> Matcher | None:
        """What keeps an output to the grammar that is asked for."""
        if sampling.grammar is None:
            return None
        return self._guide.matcher(sampling.grammar, ban_eog=ban_eog)

    def _begun(self, run: Run, chat: BegunChat | None = None) -> Begun:
        return Begun(EngineGeneration(self._engine, run), run.prompt_tokens, chat)

    def _abandon(self, request: GenerateRequest | ChatRequest | InfillRequest) -> None:
        begun = self._sequence.generation
        if begun is not None and begun.beginning is request:
            begun.interrupted = StopReason.CANCELLED

    def _is_short(self, prompt: Any, sampling: Any) -> bool:
        return is_short(prompt) and getattr(sampling, "grammar", None) is None

    def _is_quick(self, call: str) -> bool:
        # Only a draft model's memory takes time.
        return self._sequence.drafter is None

    def _check_idle(self) -> None:
        self._check_process()
        self._engine.check_idle(self._sequence)

    def _check_open(self) -> None:
        # The history of a closed session can be looked at.
        self._check_process()

    # -- the rest of a session ----------------------------------------------

    def _tokens(self) -> list[int]:
        return self._engine.history(self._sequence)

    def _rewind(self, to: int) -> None:
        self._engine.rewind(self._sequence, to)

    def _fork(self) -> EngineSession:
        forked = EngineSession(self._model, self._engine, self._guide, self.params)
        self._engine.copy_history(self._sequence, forked._sequence)
        return forked

    def _score(self, request: ScoreRequest, work: Work) -> Score:
        from headrace.engine.scoring import Scoring, score_of

        tokens = check_scored(request.text, self._model, history=bool(self._sequence.line))
        scoring = Scoring(self._engine, self._sequence, tokens, n_top=request.top, work=work)
        return score_of(scoring, scoring.run(), self._engine.vocabulary)

    def _memory_usage(self) -> SessionMemory:
        from headrace.engine import usage

        return usage.of_sequence(self._engine, self._sequence)

    def _save(self) -> list[bytes | memoryview]:
        from headrace.engine import saving
        from headrace.state import pack

        return pack(saving.save(self._engine, self._sequence), f"headrace {__version__}")

    def _load(self, state: memoryview) -> None:
        from headrace.engine import saving
        from headrace.state import unpack

        saving.load(self._engine, self._sequence, unpack(state))

    def _use(self, params: SessionParams) -> None:
        self._engine.set_params(self._sequence, params)

    def _described(self) -> str:
        # Looked at without the mutex: a debugger may ask in the middle of a step.
        sequence = self._sequence
        state = "idle" if sequence.generation is None else "generating"
        if sequence.failure is not None:
            state = "closed" if isinstance(sequence.failure, ClosedError) else "lost"
        return f"of {self._model.info.name!r}: {len(sequence.line)} tokens, {state}"

    def _close(self) -> None:
        self._engine.close_sequence(self._sequence)

    def __del__(self) -> None:
        # May run anywhere, also inside the engine: leaves a request, takes no lock.
        if hasattr(self, "_sequence") and self._in_own_process():
            self._engine.drop_sequence(self._sequence)
