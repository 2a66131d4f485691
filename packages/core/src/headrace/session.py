"""``Session``: what callers hold of one sequence, and what backends extend."""

from __future__ import annotations

import time
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs

from headrace.common.closing import Closing
from headrace.common.work import Work
from headrace.common.workers import in_worker, let_go
from headrace.errors import BusyError, ClosedError, ParamsError, UnsupportedError
from headrace.params import SessionParams
from headrace.requests.chat import ChatKeywords, ChatRequest, Messages
from headrace.requests.checks import check_range
from headrace.requests.generation import (
    GenerateRequest,
    GenerationKeywords,
    GenerationRequest,
    Prompt,
)
from headrace.requests.infill import InfillKeywords, InfillRequest
from headrace.requests.sampling import check_sampling
from headrace.requests.score import ScoreKeywords, ScoreRequest
from headrace.requests.spelling import check_keywords, spelled
from headrace.results import StopReason
from headrace.streams.tokens import TokenStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from headrace.results import Capability, Completion, ModelInfo
    from headrace.results.chat import ChatCompletion
    from headrace.results.machine import SessionMemory
    from headrace.results.score import Score
    from headrace.state.files import StateSource, StateTarget
    from headrace.streams.chat import ChatStream
    from headrace.streams.generation import Begun

_Self = TypeVar("_Self", bound="Session")
_Stream = TypeVar("_Stream", TokenStream, "ChatStream")
Tokens = str | Sequence[int]
LACKS = "model.capabilities says what a model can do."


@attrs.frozen(repr=False)
class Mark:
    """A place in a history: what ``session.mark()`` gives, and ``session.rewind`` takes."""

    _place: Any


class Owner(Protocol):
    """What a session needs to know of its model."""

    @property
    def info(self) -> ModelInfo:
        """What is known of it."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    def check_adapters(self, params: SessionParams) -> None:
        """Raise unless the adapters are the model's own, and open."""
        ...

    def keep(self, session: Any) -> None:
        """Have a session closed with the model."""
        ...


class Session(Closing):
    """A conversation: its history grows with every prompt and every token that was read.

    A backend extends it with the methods that begin with an underscore; each gets what was
    checked already, in a session that is open, idle and in its own process.

    Args:
        model: Whose session it is.
        params: Its settings.
    """

    instead = (
        "session.fork() is a session with the same history, and session.state() are bytes that "
        "a session of the same model loads, also in another process."
    )

    _leaves_hung_begin = False
    """Whether a task that is cancelled leaves a ``_begin`` that hangs alone, in its thread. Without
    it the task waits: what comes after it finds a session that nothing is about to change."""

    def __init__(self, model: Owner, params: SessionParams) -> None:
        super().__init__()
        self.params = params
        self._owner = model
        self._closed = False
        self._latest: weakref.ref[TokenStream] | None = None

    # -- generating ---------------------------------------------------------

    @spelled(GenerationKeywords, GenerateRequest)
    def generate(self, prompt: Prompt, **settings: Unpack[GenerationKeywords]) -> TokenStream:
        """Append the prompt to the history and stream what follows.

        Args:
            prompt: Text, token ids, or None to go on where the history ends.
                Special tokens such as BOS are added to a text that begins the history.
            **settings: ``sampling``: how tokens are chosen. ``max_tokens``: most new tokens;
                None: until the model ends or the context is full; 0: only compute the prompt,
                to have it in memory. ``stop``: strings that end the generation; they are not
                part of the text. ``ignore_eog``: never choose a token that ends the generation,
                unless a grammar allows nothing else. ``timeout``: seconds until the generation
                ends by itself; None: never.

        Returns:
            A stream; nothing is computed before it is read.

        Raises:
            ParamsError: For an argument outside its range, or an empty prompt.
            TokenizeError: For a prompt that has no tokens in this vocabulary.
            UnsupportedError: For a sampler, a grammar or log-probabilities that the backend
                lacks.
            ContextFullError: If the prompt does not fit.
            BusyError: If another generation is under way.
            ClosedError: If the session or its model was closed.
        """
        self._check_process()
        check_keywords("generate", settings, GenerationKeywords)
        return self.stream(GenerateRequest(prompt=prompt, **settings))

    @spelled(GenerationKeywords, GenerateRequest)
    async def agenerate(
        self, prompt: Prompt, **settings: Unpack[GenerationKeywords]
    ) -> TokenStream:
        """``generate`` for a task of asyncio or trio: ``async with await session.agenerate(…)``."""
        if self._is_short(prompt, settings.get("sampling")):
            return self.generate(prompt, **settings)
        return await self._begun_beside(lambda: self.generate(prompt, **settings))

    @spelled(GenerationKeywords, GenerateRequest)
    def complete(self, prompt: Prompt, **settings: Unpack[GenerationKeywords]) -> Completion:
        """``generate``, read to its end."""
        with self.generate(prompt, **settings) as stream:
            return stream.read()

    @spelled(GenerationKeywords, GenerateRequest)
    async def acomplete(self, prompt: Prompt, **settings: Unpack[GenerationKeywords]) -> Completion:
        """``complete`` for a task of asyncio or trio; cancelling the task cancels it."""
        async with await self.agenerate(prompt, **settings) as stream:
            return await stream.aread()

    @spelled(ChatKeywords, ChatRequest)
    def chat(self, messages: Messages, **request: Unpack[ChatKeywords]) -> ChatStream:
        """Answer a conversation.

        The history becomes the conversation as the template renders it: what it
        begins with already is kept, so that a next turn runs only what is new.

        Args:
            messages: The whole conversation, oldest first: ``ChatMessage`` objects,
                or dicts as in OpenAI's chat API. A last one of the assistant's is gone on
                with: the answer is what is added to it.
            **request: ``tools``: what the model may call: ``Tool`` objects or OpenAI's dicts.
                ``tool_choice``: ``auto``, ``none``, ``required``, or
                ``{"type": "function", "function": {"name": …}}`` for a certain one.
                ``parallel_tool_calls``: whether one answer may call several tools.
                ``tools_in_prompt``: describe the tools in the system message and read calls in
                the answer's text, for a template that has no tools.
                ``response_format``: ``text``, ``json_object``, or OpenAI's dict with a JSON
                schema. ``template``: source of a Jinja template to use instead of the model's
                own. ``reasoning``: whether the model may think first, where its template has
                that. ``template_args``: further variables of the template. ``sampling``,
                ``max_tokens``, ``stop``, ``timeout``: as for ``generate``.

        Returns:
            A stream of ``ChatChunk``; nothing is computed before it is read.

        Raises:
            ParamsError: For an argument outside its range, naming message and field.
            TemplateError: If there is no template, or it cannot be parsed or rendered.
            UnsupportedError: If the backend has no chat, or lacks what the answer needs.
            ContextFullError: If the conversation does not fit; the history is as before.
            BusyError: If another generation is under way.
            ClosedError: If the session or its model was closed.
        """
        self._check_process()
        from headrace.requests.conversation import check_chat

        check_keywords("chat", request, ChatKeywords)
        return self.chat_stream(check_chat(messages, **request))

    @spelled(ChatKeywords, ChatRequest)
    async def achat(self, messages: Messages, **request: Unpack[ChatKeywords]) -> ChatStream:
        """``chat`` for a task of asyncio or trio: ``async with await session.achat(…)``."""
        return await self._begun_beside(lambda: self.chat(messages, **request))

    @spelled(ChatKeywords, ChatRequest)
    def complete_chat(self, messages: Messages, **request: Unpack[ChatKeywords]) -> ChatCompletion:
        """``chat``, read to its end."""
        with self.chat(messages, **request) as stream:
            return stream.read()

    @spelled(ChatKeywords, ChatRequest)
    async def acomplete_chat(
        self, messages: Messages, **request: Unpack[ChatKeywords]
    ) -> ChatCompletion:
        """``complete_chat`` for a task of asyncio or trio; cancelling the task cancels it."""
        async with await self.achat(messages, **request) as stream:
            return await stream.aread()

    @spelled(InfillKeywords, InfillRequest)
    def infill(
        self, prefix: Tokens, suffix: Tokens, **request: Unpack[InfillKeywords]
    ) -> TokenStream:
        """Write what stands between a prefix and a suffix.

        The history becomes prefix and suffix as the model sees them (the layout is that of
        llama-server): what it begins with already is kept, so that the next infill of an edited
        file runs what follows the edit. ``usage.prompt_tokens`` counts what was not kept.

        Args:
            prefix: Text or token ids before the place to fill; may be empty.
            suffix: What comes after it.
            **request: ``extra``: names and texts of other files, for context; the last one
                stands nearest. ``order``: ``psm``: prefix, suffix, middle; ``spm``: suffix,
                prefix, middle. ``project``, ``path``: names of the project and the file, for
                models with tokens for them. ``sampling``, ``max_tokens``, ``stop``,
                ``ignore_eog``, ``timeout``: as for ``generate``.

        Returns:
            A stream; nothing is computed before it is read.

        Raises:
            ParamsError: For an argument outside its range.
            TokenizeError: For a text that has no tokens in this vocabulary.
            UnsupportedError: If the model was not trained for it.
            ContextFullError: If it does not fit; the history is as before.
            BusyError: If another generation is under way.
            ClosedError: If the session or its model was closed.
        """
        self._check_process()
        check_keywords("infill", request, InfillKeywords)
        return self.stream(InfillRequest(prefix=prefix, suffix=suffix, **request))

    @spelled(InfillKeywords, InfillRequest)
    async def ainfill(
        self, prefix: Tokens, suffix: Tokens, **request: Unpack[InfillKeywords]
    ) -> TokenStream:
        """``infill`` for a task of asyncio or trio: ``async with await session.ainfill(…)``."""
        return await self._begun_beside(lambda: self.infill(prefix, suffix, **request))

    @spelled(InfillKeywords, InfillRequest)
    def complete_infill(
        self, prefix: Tokens, suffix: Tokens, **request: Unpack[InfillKeywords]
    ) -> Completion:
        """``infill``, read to its end."""
        with self.infill(prefix, suffix, **request) as stream:
            return stream.read()

    @spelled(InfillKeywords, InfillRequest)
    async def acomplete_infill(
        self, prefix: Tokens, suffix: Tokens, **request: Unpack[InfillKeywords]
    ) -> Completion:
        """``complete_infill`` for a task of asyncio or trio; cancelling the task cancels it."""
        async with await self.ainfill(prefix, suffix, **request) as stream:
            return await stream.aread()

    async def _begun_beside(self, begin: Callable[[], _Stream]) -> _Stream:
        """Have a worker thread begin a stream; one that nobody waits for any more is closed."""
        return await in_worker(
            begin,
            cancel=let_go if self._leaves_hung_begin else None,
            unwanted=lambda stream: stream.close(),
        )

    def stream(self, request: GenerateRequest | InfillRequest) -> TokenStream:
        """What ``generate`` and ``infill`` do, for whoever has the request as a value."""
        self._check_process()
        began = time.monotonic()
        self._check_ready(request)
        with _Beginning(self, request) as beginning:
            return self._stream_of(request, beginning.begin(), request.stop, began)

    def chat_stream(self, request: ChatRequest) -> ChatStream:
        """What ``chat`` does, for whoever has the request as a value."""
        self._check_process()
        from headrace.streams.chat import ChatStream

        began = time.monotonic()
        self._check_ready(request)
        with _Beginning(self, request) as beginning:
            chat = beginning.begin().chat
            if chat is None:
                raise no_chat(self._owner.info.backend)
            # In no variable: what is raised keeps those alive, and with them the stream.
            return ChatStream(
                self._stream_of(
                    request, beginning.begin(), (*request.stop, *chat.rendered.stops), began
                ),
                chat,
                request.tools if request.tool_choice != "none" else (),
            )

    def _stream_of(
        self, request: GenerationRequest, begun: Begun, stop: tuple[str, ...], began: float
    ) -> TokenStream:
        left = request.timeout
        if left is not None:
            left = max(0.0, left - (time.monotonic() - began))
        stream = TokenStream(
            begun.generation,
            stop=stop,
            timeout=left,
            owner=self if begun.keep is None else (self, begun.keep),
            model=self._owner.info,
            prompt_tokens=begun.prompt_tokens,
        )
        self._latest = weakref.ref(stream)
        return stream

    def _check_ready(self, request: GenerateRequest | InfillRequest | ChatRequest) -> None:
        """Raise unless the request can begin, as far as is known before it does."""
        info = self._owner.info
        check_sampling(request.sampling, info, self._owner.capabilities)
        self._check_idle()
        for name in ("prompt", "prefix", "suffix"):
            given = getattr(request, name, None)
            if isinstance(given, tuple):
                check_range(name, given, info.n_vocab)

    # -- the history --------------------------------------------------------

    @property
    def tokens(self) -> list[int]:
        """The history: the prompt tokens processed and the tokens delivered (a copy)."""
        self._check_open()
        return self._tokens()

    async def atokens(self) -> list[int]:
        """``tokens`` for a task of asyncio or trio."""
        return await in_worker(lambda: self.tokens, cancel=let_go)

    @property
    def text(self) -> str:
        """The history of a session with a service: what was asked and what was delivered.

        Raises:
            UnsupportedError: If the history is ``tokens``; ``model.detokenize`` makes text of them.
        """
        self._check_open()
        return self._text()

    async def atext(self) -> str:
        """``text`` for a task of asyncio or trio."""
        return await in_worker(lambda: self.text, cancel=let_go)

    def mark(self) -> Mark:
        """The history as it is, to be rewound to: in any session whose history begins so."""
        self._check_open()
        return Mark(self._mark())

    async def amark(self) -> Mark:
        """``mark`` for a task of asyncio or trio."""
        return await in_worker(self.mark, cancel=let_go)

    def rewind(self, *, to: int | Mark) -> None:
        """Forget the end of the history.

        Args:
            to: Tokens to keep, from 0 to the length of ``tokens``; or a mark.

        Raises:
            ParamsError: If there are fewer tokens than that, or another history was marked.
            BusyError: If a generation is under way.
            UnsupportedError: For a number of tokens, if the model has none that are known.
        """
        self._check_idle()
        if isinstance(to, Mark):
            self._rewind_to(to._place)
        else:
            self._rewind(to)

    async def arewind(self, *, to: int | Mark) -> None:
        """``rewind`` for a task of asyncio or trio."""
        await in_worker(lambda: self.rewind(to=to))

    def reset(self) -> None:
        """Forget everything, as if the session were new.

        Raises:
            BusyError: If a generation is under way.
        """
        self.rewind(to=0)

    async def areset(self) -> None:
        """``reset`` for a task of asyncio or trio."""
        await in_worker(self.reset)

    def fork(self: _Self) -> _Self:
        """A session with the same history, which goes its own way from here.

        What memory holds is shared where the backend can copy it, else rebuilt.

        Raises:
            BusyError: If a generation is under way.
        """
        self._check_idle()
        forked: _Self = self._fork()
        self._owner.keep(forked)
        return forked

    async def afork(self: _Self) -> _Self:
        """``fork`` for a task; one that is made for nobody any more is closed."""
        if self._is_quick("fork"):
            return self.fork()
        return await in_worker(self.fork, cancel=let_go, unwanted=Session.close)

    # -- scoring ------------------------------------------------------------

    @spelled(ScoreKeywords, ScoreRequest)
    def score(self, text: Tokens, **options: Unpack[ScoreKeywords]) -> Score:
        """How likely a text is after the history, which stays as it is.

        Ctrl-C ends it inside a call. A forward pass gives the logarithms to within float
        accuracy: other batch sizes change their last digits.

        Args:
            text: Text or token ids; special tokens such as BOS are added to a text if the
                history is empty.
            **options: ``top``: how many of the most likely tokens to name beside each.
                ``progress``: called with the share that is done.

        Raises:
            ParamsError: For an argument outside its range, or an empty text.
            TokenizeError: For a text that has no tokens in this vocabulary.
            ContextFullError: If history and text do not fit.
            BusyError: If a generation is under way.
            UnsupportedError: If the backend cannot.
        """
        return self._scored(Work(options.pop("progress", None)), text, options)

    @spelled(ScoreKeywords, ScoreRequest)
    async def ascore(self, text: Tokens, **options: Unpack[ScoreKeywords]) -> Score:
        """``score`` for a task of asyncio or trio; cancelling the task ends it inside a call.

        ``progress`` is called in a worker thread.
        """
        work = Work(options.pop("progress", None))
        return await in_worker(lambda: self._scored(work, text, options), cancel=work.cancel)

    def _scored(self, work: Work, text: Tokens, options: ScoreKeywords) -> Score:
        self._check_process()
        check_keywords("score", options, ScoreKeywords)
        # progress was taken out.
        return self.scored(ScoreRequest(text=text, **options), work)  # type: ignore[misc]

    def scored(self, request: ScoreRequest, work: Work) -> Score:
        """What ``score`` does, for whoever has the request as a value."""
        self._check_idle()
        if isinstance(request.text, tuple):
            check_range("text", request.text, self._owner.info.n_vocab)
        return self._score(request, work)

    # -- memory, state, adapters --------------------------------------------

    def memory_usage(self) -> SessionMemory:
        """What the session has in memory at the moment."""
        self._check_open()
        return self._memory_usage()

    async def amemory_usage(self) -> SessionMemory:
        """``memory_usage`` for a task of asyncio or trio."""
        return await in_worker(self.memory_usage, cancel=let_go)

    def state(self) -> bytes:
        """The session as bytes, for ``load_state``: its history and what was computed of it.

        Raises:
            BusyError: If a generation is under way.
        """
        self._check_idle()
        return b"".join(self._save())

    async def astate(self) -> bytes:
        """``state`` for a task of asyncio or trio."""
        return await in_worker(self.state)

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
        from headrace.state.files import check_target, write_state

        check_target(target)
        self._check_idle()
        write_state(target, self._save())

    async def asave_state(self, target: StateTarget) -> None:
        """``save_state`` for a task of asyncio or trio."""
        await in_worker(lambda: self.save_state(target))

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
        from headrace.state.files import read_state

        self._check_idle()
        self._load(read_state(source))

    async def aload_state(self, source: StateSource) -> None:
        """``load_state`` for a task of asyncio or trio."""
        await in_worker(lambda: self.load_state(source))

    def set_adapters(self, adapters: Iterable[object]) -> None:
        """Compute with these LoRA adapters from the next generation on, instead of those before.

        The history stays; what memory holds of it is computed again.

        Args:
            adapters: As in ``SessionParams.adapters``; empty: none.

        Raises:
            ParamsError: For something else than this model's adapters.
            ClosedError: If one of them was closed.
            BusyError: If a generation is under way.
            UnsupportedError: If the backend has no adapters.
        """
        self._change(adapters=adapters)

    async def aset_adapters(self, adapters: Iterable[object]) -> None:
        """``set_adapters`` for a task of asyncio or trio."""
        await in_worker(lambda: self.set_adapters(adapters))

    def set_control_vectors(self, vectors: Iterable[object]) -> None:
        """The same for control vectors: as in ``SessionParams.control_vectors``.

        Raises:
            ParamsError: For something else than this model's control vectors.
            ClosedError: If one of them was closed.
            BusyError: If a generation is under way.
            UnsupportedError: If the backend has no control vectors.
        """
        self._change(control_vectors=vectors)

    async def aset_control_vectors(self, vectors: Iterable[object]) -> None:
        """``set_control_vectors`` for a task of asyncio or trio."""
        await in_worker(lambda: self.set_control_vectors(vectors))

    def _change(self, **changes: Any) -> None:
        self._check_process()
        params = attrs.evolve(self.params, **changes)
        self._owner.check_adapters(params)
        self._check_idle()
        self._use(params)
        self.params = params

    # -- ending -------------------------------------------------------------

    def close(self) -> None:
        """End a running generation with ``ClosedError`` and give the memory back."""
        if self._in_own_process():
            self._closed = True
            self._close()

    async def aclose(self) -> None:
        """``close`` for a task of asyncio or trio."""
        if self._is_quick("close"):
            self.close()
        else:
            await super().aclose()

    def _check_open(self) -> None:
        """Raise if the session was closed, or belongs to another process."""
        self._check_process()
        if self._closed:
            raise ClosedError("the session was closed", backend=self._owner.info.backend)

    def _check_idle(self) -> None:
        """Raise unless a generation can begin; one that was cancelled is settled first.

        Raises:
            BusyError: While another generation is under way.
            ClosedError: If the session was closed.
        """
        self._check_open()
        if self._is_busy():
            raise self._busy()

    def _busy(self) -> BusyError:
        return BusyError(
            "the session has a generation under way",
            hint="End it with stream.cancel(), or open another session.",
            backend=self._owner.info.backend,
        )

    def _described(self) -> str:
        return f"of {self._owner.info.name!r}" + (": closed" if self._closed else "")

    def _lacks(self, method: str) -> UnsupportedError:
        return UnsupportedError(
            f"sessions of this backend have no {method}",
            hint=LACKS,
            backend=self._owner.info.backend,
        )

    # -- what a backend says and does ---------------------------------------

    @abstractmethod
    def _begin(self, request: GenerateRequest | ChatRequest | InfillRequest) -> Begun:
        """Begin a generation.

        Raises:
            UnsupportedError: For a request that the backend does not know.
            HeadraceError: What the public methods say.
        """

    @abstractmethod
    def _close(self) -> None:
        """Give everything back. It may be called again, and while a stream is read."""

    def _is_busy(self) -> bool:
        """Whether a generation is under way."""
        stream = None if self._latest is None else self._latest()
        return stream is not None and not stream.over

    def _abandon(self, request: GenerateRequest | ChatRequest | InfillRequest) -> None:
        """End what ``_begin`` may have begun for this request: its caller gets no stream.

        Only stores may be made here, since stack or memory may have run out.
        """

    def _is_short(self, prompt: Any, sampling: Any) -> bool:
        """Whether ``_begin`` takes so little time that an event loop may do it.

        Neither was looked at yet: they are what the caller gave.
        """
        return False

    def _is_quick(self, call: str) -> bool:
        """Whether an event loop may make a call, ``fork`` or ``close``: it never waits."""
        return False

    def _tokens(self) -> list[int]:
        raise self._lacks("tokens")

    def _text(self) -> str:
        raise self._lacks("text")

    def _rewind(self, to: int) -> None:
        raise self._lacks("rewind")

    def _mark(self) -> Any:
        """The history as a value that ``_rewind_to`` knows."""
        return self._tokens()

    def _rewind_to(self, place: Any) -> None:
        if self._tokens()[: len(place)] != place:
            raise ParamsError("the history does not begin with what it was at this mark")
        self._rewind(len(place))

    def _fork(self) -> Any:
        raise self._lacks("fork")

    def _score(self, request: ScoreRequest, work: Work) -> Score:
        raise self._lacks("score")

    def _memory_usage(self) -> SessionMemory:
        raise self._lacks("memory_usage")

    def _save(self) -> list[bytes | memoryview]:
        """The parts of a state, one after the other."""
        raise self._lacks("state")

    def _load(self, state: memoryview) -> None:
        """Become what a state says."""
        raise self._lacks("load_state")

    def _use(self, params: SessionParams) -> None:
        """Compute with other adapters and control vectors from now on."""
        raise self._lacks("adapters and no control vectors")


def no_chat(backend: str) -> UnsupportedError:
    """What a backend without chat raises."""
    return UnsupportedError(
        "the backend answers no conversations",
        hint="Write the conversation as a text of the model's format, for session.generate.",
        backend=backend,
    )


class _Beginning:
    """A ``with`` block in which a generation begins and its stream is made.

    Whatever is raised in between, the caller has no stream to end the generation by: it is
    cancelled.
    """

    def __init__(
        self, session: Session, request: GenerateRequest | ChatRequest | InfillRequest
    ) -> None:
        self._session = session
        self._request = request
        self._begun: Begun | None = None

    def __enter__(self) -> _Beginning:
        return self

    def begin(self) -> Begun:
        """What the backend has begun, once."""
        if self._begun is None:
            self._begun = self._session._begin(self._request)
        return self._begun

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            return
        self._session._abandon(self._request)
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.generation.interrupt(StopReason.CANCELLED)
