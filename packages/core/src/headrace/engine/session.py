"""``EngineSession``: the waist's ``Session`` over one sequence of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Tokens
from typing import TYPE_CHECKING, Any

import attrs

from headrace._version import __version__
from headrace.common.workers import in_worker, let_go
from headrace.engine import saving, usage
from headrace.engine.beginning import Beginning
from headrace.engine.infilling import InfillingSession
from headrace.engine.prompts import check_prompt, check_scored, draw_seed, is_short
from headrace.engine.sampling import check_sampling
from headrace.engine.scheduler import Engine
from headrace.engine.scoring import Scoring
from headrace.errors import ClosedError
from headrace.params import SamplingParams, SessionParams
from headrace.requests.checks import check_generation, check_top
from headrace.results import TokenLogprob
from headrace.results.machine import SessionMemory
from headrace.results.score import Score
from headrace.state import StateSource, StateTarget, pack, read_state, unpack, write_state
from headrace.state.files import check_target
from headrace.streams.tokens import TokenStream

if TYPE_CHECKING:
    from headrace.engine.model import EngineModel


class EngineSession(InfillingSession):
    """A conversation: its history grows with every prompt and every token that was read."""

    def __init__(self, model: EngineModel, engine: Engine, params: SessionParams) -> None:
        super().__init__()
        self.params = params
        self._model = model
        self._engine = engine
        self._sequence = engine.open_sequence(params)

    @property
    def tokens(self) -> list[int]:
        """The history: the prompt tokens processed and the tokens delivered (a copy)."""
        self._check_process()
        return self._engine.history(self._sequence)

    def generate(
        self,
        prompt: str | Tokens[int] | None,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Tokens[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> TokenStream:
        """Append the prompt to the history and stream what follows.

        Args:
            prompt: Text, token ids, or None to go on where the history ends.
                Special tokens such as BOS are added to a text that begins the history.
            sampling: How tokens are chosen.
            max_tokens: Most new tokens; None: until the model ends or the context
                is full; 0: only compute the prompt, to have it in memory.
            stop: Strings that end the generation; they are not part of the text.
            ignore_eog: Never choose a token that ends the generation, unless a grammar allows
                nothing else.
            timeout: Seconds until the generation ends by itself; None: never.

        Returns:
            A stream; nothing is computed before it is read.

        Raises:
            ParamsError: For an argument outside its range, or an empty prompt.
            UnsupportedError: For a sampler or log-probabilities that the backend lacks.
            TokenizeError: For a prompt that has no tokens in this vocabulary.
            ContextFullError: If the prompt does not fit.
            BusyError: If another generation is under way.
            ClosedError: If the session or its model was closed.
            UnsupportedError: For a grammar, on a backend that has none.
        """
        self._check_process()
        stops = check_generation(sampling, max_tokens, stop, ignore_eog, timeout)
        sampling = sampling or SamplingParams()
        check_sampling(sampling, self._model.info, self._model.capabilities)
        self._engine.check_idle(self._sequence)
        tokens = check_prompt(prompt, self._model, history=bool(self._sequence.line))
        with Beginning(self._sequence) as beginning:
            generation = self._engine.generate(
                self._sequence,
                tokens,
                sampling=sampling,
                seed=draw_seed(sampling),
                max_tokens=max_tokens,
                ignore_eog=ignore_eog,
                beginning=beginning,
            )
            return self._stream(generation, stops, timeout)

    async def agenerate(
        self,
        prompt: str | Tokens[int] | None,
        *,
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Tokens[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> TokenStream:
        """``generate`` for a task; a worker thread reads a long prompt."""
        options: dict[str, Any] = {
            "sampling": sampling,
            "max_tokens": max_tokens,
            "stop": stop,
            "ignore_eog": ignore_eog,
            "timeout": timeout,
        }
        # What takes microseconds is not worth the way to another thread and back.
        if is_short(prompt):
            return self.generate(prompt, **options)
        return await super().agenerate(prompt, **options)

    def rewind(self, *, to: int) -> None:
        """Forget the end of the history.

        Args:
            to: Tokens to keep, from 0 to the length of ``tokens``.

        Raises:
            ParamsError: If there are fewer tokens than that.
            BusyError: If a generation is under way.
        """
        self._check_process()
        self._engine.rewind(self._sequence, to)

    def reset(self) -> None:
        """Forget everything, as if the session were new.

        Raises:
            BusyError: If a generation is under way.
        """
        self.rewind(to=0)

    def fork(self) -> EngineSession:
        """A session with the same history, which goes its own way from here.

        What memory holds is shared where the decoder can copy it, else rebuilt.

        Raises:
            BusyError: If a generation is under way.
        """
        self._check_process()
        forked = EngineSession(self._model, self._engine, self.params)
        self._engine.copy_history(self._sequence, forked._sequence)
        return forked

    async def afork(self) -> EngineSession:
        """``fork`` for a task; a worker thread does it where a draft model needs a context."""
        if self._sequence.drafter is None:
            return self.fork()
        return await in_worker(self.fork, cancel=let_go, unwanted=EngineSession.close)

    def score(
        self,
        text: str | Tokens[int],
        *,
        top: int = 0,
        progress: Callable[[float], object] | None = None,
    ) -> Score:
        """How likely a text is after the history, which stays as it is.

        Computed with as few native calls as there is room for logits, between the steps of
        streams; Ctrl-C ends it inside a call. A forward pass gives the logarithms to within
        float accuracy: other batch sizes change their last digits.

        Args:
            text: Text or token ids; special tokens such as BOS are added to a text if the
                history is empty.
            top: How many of the most likely tokens to name beside each.
            progress: Called with the share that is done.

        Raises:
            ParamsError: For an argument outside its range, or an empty text.
            TokenizeError: For a text that has no tokens in this vocabulary.
            ContextFullError: If history and text do not fit.
            BusyError: If a generation is under way.
            UnsupportedError: If the backend cannot.
        """
        scoring = self._scoring(text, top, progress)
        return self._score_of(scoring, scoring.run())

    async def ascore(
        self,
        text: str | Tokens[int],
        *,
        top: int = 0,
        progress: Callable[[float], object] | None = None,
    ) -> Score:
        """``score`` for a task of asyncio or trio; cancelling the task ends it inside a call.

        ``progress`` is called in a worker thread.
        """
        # Its text is tokenized, and what it found is put together, in worker threads too.
        scoring = await in_worker(lambda: self._scoring(text, top, progress), cancel=let_go)
        return await in_worker(
            lambda: self._score_of(scoring, scoring.run()), cancel=scoring.cancel
        )

    def _scoring(
        self, text: str | Tokens[int], top: int, progress: Callable[[float], object] | None
    ) -> Scoring:
        self._check_process()
        check_top(top)
        self._engine.check_idle(self._sequence)
        tokens = check_scored(text, self._model, history=bool(self._sequence.line))
        return Scoring(self._engine, self._sequence, tokens, n_top=top, progress=progress)

    def _score_of(self, scoring: Scoring, found: list[TokenLogprob]) -> Score:
        tokens, vocabulary = scoring.tokens, self._engine.vocabulary
        unknown = len(tokens) - len(found)
        return Score(
            tokens=tuple(tokens),
            pieces=tuple(vocabulary.piece(token) for token in tokens),
            logprobs=(*[None] * unknown, *(each.logprob for each in found)),
            top=(*[()] * unknown, *(each.top for each in found)) if scoring.n_top else (),
        )

    @property
    def engine(self) -> Engine:
        """What computes it, shared with the model's other sessions."""
        return self._engine

    def memory_usage(self) -> SessionMemory:
        """What the session has in memory at the moment."""
        self._check_process()
        return usage.of_sequence(self._engine, self._sequence)

    def state(self) -> bytes:
        """The session as bytes, for ``load_state``: its history and what was computed of it.

        Raises:
            BusyError: If a generation is under way.
        """
        return b"".join(self._state_parts())

    def save_state(self, target: StateTarget) -> None:
        """Write the session to a file, which is replaced as a whole or not at all.

        Args:
            target: A path, or a file that is open for writing bytes. At the path is a regular
                file, a symbolic link to one, which stays a link, or nothing.

        Raises:
            ParamsError: If something else is there, such as a device or a FIFO.
            BusyError: If a generation is under way.
            StateError: If the file cannot be written.
        """
        check_target(target)
        write_state(target, self._state_parts())

    def load_state(self, source: StateSource) -> None:
        """Become what another session was when it was saved: forget the own history.

        Args:
            source: A path, a file that is open for reading bytes, or the bytes.

        Raises:
            StateError: If it is damaged, or was saved with another model, build or
                settings of the memory; the session is as before.
            ContextFullError: If its history does not fit; the session is as before.
            BusyError: If a generation is under way.
        """
        self._check_process()
        self._engine.check_idle(self._sequence)
        saving.load(self._engine, self._sequence, unpack(read_state(source)))

    def _state_parts(self) -> list[bytes | memoryview]:
        self._check_process()
        state = saving.save(self._engine, self._sequence)
        return pack(state, f"headrace {__version__}")

    def set_adapters(self, adapters: Iterable[object]) -> None:
        """Compute with these LoRA adapters from the next generation on, instead of those before.

        The history stays; what memory holds of it is computed again.

        Args:
            adapters: As in ``SessionParams.adapters``; empty: none.

        Raises:
            ParamsError: For something else than this model's adapters.
            ClosedError: If one of them was closed.
            BusyError: If a generation is under way.
        """
        self._check_process()
        self._change_params(adapters=adapters)

    def set_control_vectors(self, vectors: Iterable[object]) -> None:
        """The same for control vectors: as in ``SessionParams.control_vectors``.

        Raises:
            ParamsError: For something else than this model's control vectors.
            ClosedError: If one of them was closed.
            BusyError: If a generation is under way.
        """
        self._check_process()
        self._change_params(control_vectors=vectors)

    def _change_params(self, **changes: Any) -> None:
        params = attrs.evolve(self.params, **changes)
        self._model.check_adapters(params)
        self._engine.set_params(self._sequence, params)
        self.params = params

    def _described(self) -> str:
        # Looked at without the mutex: a debugger may ask in the middle of a step.
        sequence = self._sequence
        state = "idle" if sequence.generation is None else "generating"
        if sequence.failure is not None:
            state = "closed" if isinstance(sequence.failure, ClosedError) else "lost"
        return f"of {self._model.info.name!r}: {len(sequence.line)} tokens, {state}"

    def close(self) -> None:
        """End a running generation with ``ClosedError`` and give the memory back."""
        if self._in_own_process():
            self._engine.close_sequence(self._sequence)

    async def aclose(self) -> None:
        """The same for a task; it waits where a draft model's memory has to be freed."""
        if self._sequence.drafter is None:
            self.close()
        else:
            await super().aclose()

    def __del__(self) -> None:
        # May run anywhere, also inside the engine: leaves a request, takes no lock.
        if hasattr(self, "_sequence") and self._in_own_process():
            self._engine.drop_sequence(self._sequence)
