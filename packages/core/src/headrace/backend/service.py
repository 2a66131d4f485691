"""``ServiceModel`` and ``ServiceSession``: tier 1 for a remote service, in one method.

A service takes text or messages and sends text, piece by piece. What a session needs beyond that
is here: a queue with a limit and a thread that fills it, waking whoever waits, a cancel and a
time-out that bite while the service is silent, the history as text.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

import attrs

from headrace.backend.answer import Answer, Answered, ServiceCall
from headrace.backend.prompts import draw_seed
from headrace.errors import ParamsError, UnsupportedError
from headrace.model import Model
from headrace.params import SamplingParams, SessionParams
from headrace.requests.chat import ChatRequest
from headrace.requests.generation import GenerateRequest
from headrace.requests.infill import InfillRequest
from headrace.requests.tools_in_prompt import in_prompt
from headrace.results import Capability, ModelInfo, StopReason
from headrace.session import Owner, Session, no_chat
from headrace.streams.generation import Begun, BegunChat, Delta
from headrace.streams.parser import PlainTextParser, RenderedChat
from headrace.streams.prompted import reading_calls

_OFF = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0, "repeat_last_n": 0}
"""Values that ask for nothing: whoever lacks the sampler has them, too."""
_OF_DRAWING = {"top_k", "top_p", "min_p"}
"""What is not looked at where the most likely token is taken."""
_ELSEWHERE = {"seed", "grammar", "logprobs"}
"""What a receipt tells, or a capability."""
_Fork = TypeVar("_Fork", bound="ServiceSession")


class ServiceSession(Session):
    """A conversation with a service that keeps none: the history is text, and sent each time.

    An author writes ``_stream_from``, and says in ``takes`` what the service has.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"temperature", "top_p", "seed"})
    """Names of ``SamplingParams`` that the service takes; what a caller gives beside them is
    refused, unless it asks for nothing. Without ``seed`` receipts have none."""
    takes_ignore_eog: ClassVar[bool] = False
    """Whether the service can be kept from ending by itself."""

    def __init__(self, model: Owner, params: SessionParams) -> None:
        super().__init__(model, params)
        self._history = ""
        self._answer: Answer | None = None

    @abstractmethod
    def _stream_from(self, request: GenerateRequest | ChatRequest, call: ServiceCall) -> Answered:
        """Ask the service, in a thread that is for this call alone.

        Args:
            request: What was asked for. The prompt of a ``GenerateRequest`` is the whole text to
                go on from: the history, and what was new. Of the sampling, ``given`` names what
                the caller chose; a seed is always there if the service takes one.
            call: Tells whether somebody still waits, and calls what ends a read that blocks.

        Returns:
            An iterator, or an asynchronous one, which is run in an event loop of asyncio. Each
            item is text, or a ``Delta`` for what is no text: why it ended, the usage. Without an
            ``end`` the model ended by itself. It is read as fast as the caller reads, with a
            few items in advance, and closed at the end.

        Raises:
            ServiceError: If the service refuses or fails; what the standard library raises for
                a broken network becomes one by itself.
        """

    # -- the history --------------------------------------------------------

    def _text(self) -> str:
        self._settle_dropped()
        return self._history

    def _mark(self) -> str:
        return self._text()

    def _rewind_to(self, place: Any) -> None:
        if not isinstance(place, str) or not self._history.startswith(place):
            raise ParamsError("the history does not begin with what it was at this mark")
        self._history = place

    def _rewind(self, to: int) -> None:
        if type(to) is not int or to < 0:
            raise ParamsError(f"to must be a whole number of tokens, got {to!r:.60}")
        if to:
            raise UnsupportedError(
                "a service does not tell its tokens, so there is no number of them to keep",
                hint="Rewind to what session.mark() gave.",
                backend=self._owner.info.backend,
            )
        self._history = ""

    def _fork(self: _Fork) -> _Fork:
        forked = type(self)(self._owner, self.params)
        forked._history = self._history
        return forked

    def _remember(self, before: str, written: str) -> None:
        self._history = before + written

    # -- generating ---------------------------------------------------------

    def _begin(self, request: GenerateRequest | ChatRequest | InfillRequest) -> Begun:
        if isinstance(request, InfillRequest):
            raise self._lacks("infill")
        self._check_settings(request)
        sampling, seed = self._seeded(request.sampling)
        chat = None
        if isinstance(request, ChatRequest):
            if Capability.CHAT not in self._owner.capabilities:
                raise no_chat(self._owner.info.backend)
            asked = attrs.evolve(request, sampling=sampling)
            request = in_prompt(asked)
            before = self._rendered(request)
            plain = RenderedChat(prompt=before, parser=PlainTextParser())
            chat = BegunChat(reading_calls(asked, plain), prompt_tokens=None)
        else:
            before = self._history + self._checked_prompt(request.prompt)
            request = attrs.evolve(request, prompt=before, sampling=sampling)
        remember = partial(self._remember, before)
        self._answer = Answer(self._asking(request), self._owner.info, seed, remember)
        return Begun(self._answer, chat=chat)

    def _asking(self, request: GenerateRequest | ChatRequest) -> Callable[[ServiceCall], Answered]:
        if request.max_tokens == 0:
            return lambda call: iter([Delta(end=StopReason.MAX_TOKENS)])
        return partial(self._stream_from, request)

    def _checked_prompt(self, prompt: str | tuple[int, ...] | None) -> str:
        if isinstance(prompt, tuple):
            raise UnsupportedError(
                "prompt must be a text: a service does not tell its tokens",
                backend=self._owner.info.backend,
            )
        if prompt is None and not self._history:
            raise ParamsError("prompt is None, but the session's history is empty")
        return prompt or ""

    def _check_settings(self, request: GenerateRequest | ChatRequest) -> None:
        """Raise for what the service would pass over in silence."""
        backend, sampling = self._owner.info.backend, request.sampling
        if request.ignore_eog and not self.takes_ignore_eog:
            raise UnsupportedError(
                "the service cannot be kept from ending by itself",
                hint="Leave ignore_eog at False.",
                backend=backend,
            )
        lacking = sampling.given - self.takes - _ELSEWHERE
        if sampling.temperature == 0:
            lacking -= _OF_DRAWING
        for name in sorted(lacking):
            if getattr(sampling, name) != _OFF.get(name):
                raise UnsupportedError(
                    f"the service of backend {backend!r} does not know SamplingParams.{name}",
                    hint=f"It knows {', '.join(sorted(self.takes))}.",
                    backend=backend,
                )

    def _seeded(self, sampling: SamplingParams) -> tuple[SamplingParams, int | None]:
        """The sampling with a seed where the service takes one, and that seed."""
        if "seed" not in self.takes:
            return sampling, None
        seed = draw_seed(sampling)
        return attrs.evolve(sampling, seed=seed), seed

    def _rendered(self, request: ChatRequest) -> str:
        """A conversation as the text of the history; what the service sees is its own affair."""
        return rendered(request)

    # -- ending -------------------------------------------------------------

    def _settle_dropped(self) -> None:
        """Settle a generation whose stream is gone: the session is free, and has what was read."""
        answer = self._answer
        if answer is None or answer.report is not None or answer.interrupted is None:
            return
        stream = None if self._latest is None else self._latest()
        if stream is None or stream.generation is not answer:
            answer.abandon()

    def _is_busy(self) -> bool:
        if super()._is_busy():
            return True
        self._settle_dropped()
        return False

    def _close(self) -> None:
        if self._answer is not None:
            self._answer.close()

    def _is_short(self, prompt: Any, sampling: Any) -> bool:
        return True  # nothing is asked before the stream is read

    def _is_quick(self, call: str) -> bool:
        return True


class ServiceModel(Model):
    """A model of a remote service.

    Args:
        info: What is known of it; ``n_vocab`` and ``n_ctx_train`` are 0 where it does not tell.
        session: The class of its sessions.
        capabilities: What it can do beside writing text: ``CHAT``, and nothing else by itself.
    """

    def __init__(
        self,
        info: ModelInfo,
        session: type[ServiceSession],
        capabilities: frozenset[Capability] = frozenset(),
    ) -> None:
        super().__init__(info, frozenset({Capability.GENERATE}) | capabilities)
        self._session_class = session

    def _open(self, params: SessionParams) -> ServiceSession:
        default = SessionParams()
        for field in attrs.fields(SessionParams):
            if getattr(params, field.name) != getattr(default, field.name):
                raise UnsupportedError(
                    f"sessions with a service have no SessionParams.{field.name}",
                    hint=f"Leave it at {getattr(default, field.name)!r}.",
                    backend=self.info.backend,
                )
        return self._session_class(self, params)

    def _opens_quickly(self, params: Any) -> bool:
        return True

    def _render(self, request: ChatRequest) -> RenderedChat:
        if Capability.CHAT not in self.capabilities:
            raise no_chat(self.info.backend)
        plain = RenderedChat(prompt=rendered(in_prompt(request)), parser=PlainTextParser())
        return reading_calls(request, plain)


def rendered(request: ChatRequest) -> str:
    """A conversation as plain text, a line for each message, and the beginning of the next."""
    lines = [f"{message.role}: {message.content}\n" for message in request.messages]
    return "".join([*lines, "assistant: "])
