"""``SubmittingSession``: tier 1 for a library with a scheduler of its own.

Such a library takes token ids and gives a stream of token ids; what it keeps in memory of
earlier requests is its own affair. The history, rewinding, forking and what a reader has seen of
a generation are kept here.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

import attrs

from headrace.backend.prompts import check_prompt
from headrace.common.uncopyable import Uncopyable
from headrace.errors import ClosedError
from headrace.model import Model
from headrace.params import SessionParams
from headrace.requests.chat import ChatRequest
from headrace.requests.checks import check_kept
from headrace.requests.generation import GenerateRequest
from headrace.requests.infill import InfillRequest
from headrace.results import StopReason
from headrace.session import Session
from headrace.streams.generation import Begun, BegunChat, Delta, Generation, GenerationReport
from headrace.streams.parser import RenderedChat
from headrace.streams.plain_text import tokens_of

_Fork = TypeVar("_Fork", bound="SubmittingSession")


class SubmittingSession(Session):
    """A conversation whose history is token ids, all of which are submitted each time.

    An author writes ``_submit``; the model tokenizes, and renders conversations if it can.
    """

    def __init__(self, model: Model, params: SessionParams) -> None:
        super().__init__(model, params)
        self._model = model
        self._line: list[int] = []
        self._carry = b""
        self._submitted: Submitted | None = None

    @abstractmethod
    def _submit(
        self, tokens: tuple[int, ...], request: GenerateRequest | ChatRequest
    ) -> Generation:
        """Begin a generation.

        Args:
            tokens: The history and what is new, at least one id.
            request: What else was asked for: sampling, most new tokens. Its stop strings and
                time-out are seen to by the stream.

        Returns:
            Pieces with token ids. It is told by ``settle`` when nobody reads any more.

        Raises:
            ContextFullError: If the tokens do not fit.
        """

    def _begin(self, request: GenerateRequest | ChatRequest | InfillRequest) -> Begun:
        if isinstance(request, InfillRequest):
            raise self._lacks("infill")
        chat: RenderedChat | None = None
        if isinstance(request, ChatRequest):
            chat = self._model.rendered(request)
            line = tokens_of(self._model, chat)
            known, carry = 0, b""
        else:
            new = check_prompt(request.prompt, self._model, history=bool(self._line))
            line, known = [*self._line, *new], len(self._line)
            carry = b"" if new else self._carry
        prompt_tokens = len(line) - known
        begun = self._submit(tuple(line), request)
        self._submitted = Submitted(self, line, prompt_tokens, carry, begun)
        if chat is None:
            return Begun(self._submitted, prompt_tokens)
        return Begun(self._submitted, prompt_tokens, BegunChat(chat, prompt_tokens=len(line)))

    def remember(self, line: list[int], carry: bytes) -> None:
        """What a generation leaves as the history."""
        self._line, self._carry = line, carry

    # -- the history --------------------------------------------------------

    def _tokens(self) -> list[int]:
        running = self._submitted
        if running is None or running.report is not None:
            return list(self._line)
        return running.remembered()

    def _text(self) -> str:
        return self._model.detokenize(self._tokens()).decode(errors="replace")

    def _rewind(self, to: int) -> None:
        self.remember(self._line[: check_kept(to, len(self._line))], b"")

    def _fork(self: _Fork) -> _Fork:
        forked = type(self)(self._model, self.params)
        forked.remember(list(self._line), self._carry)
        return forked

    def _is_busy(self) -> bool:
        if super()._is_busy():
            return True
        running = self._submitted
        if running is not None and running.report is None and running.interrupted is not None:
            running.settle(running.interrupted, running.seen)  # its stream was dropped
        return False

    def _close(self) -> None:
        if self._submitted is not None:
            self._submitted.close()


class Submitted(Uncopyable):
    """A library's generation, and what of it belongs to the history.

    Args:
        session: Whose history it is.
        line: All tokens that were submitted.
        prompt_tokens: How many of them are new.
        carry: Bytes of earlier tokens whose text was never shown.
        generation: The library's.
    """

    def __init__(
        self,
        session: SubmittingSession,
        line: list[int],
        prompt_tokens: int,
        carry: bytes,
        generation: Generation,
    ) -> None:
        self.carry = carry
        self.seen = 0
        self.report: GenerationReport | None = None
        self._session = session
        self._line = line
        self._prompt_tokens = prompt_tokens
        self._written: list[int] = []
        self._inner = generation
        self._closed = False

    @property
    def interrupted(self) -> StopReason | None:
        """See ``Generation.interrupted``."""
        return self._inner.interrupted

    def pull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.pull``."""
        self._check_open()
        return self._noted(self._inner.pull(max_wait))

    async def apull(self, max_wait: float | None) -> Delta | None:
        """See ``Generation.apull``."""
        self._check_open()
        return self._noted(await self._inner.apull(max_wait))

    def _noted(self, delta: Delta | None) -> Delta | None:
        self._check_open()
        if delta is not None:
            self._written += [each.token for each in delta.pieces if each.token is not None]
        return delta

    def deliver(self, pieces: int) -> bool:
        """See ``Generation.deliver``."""
        self._check_open()
        if self.report is not None or not self._inner.deliver(pieces):
            return False
        self.seen += pieces
        return True

    def interrupt(self, reason: StopReason) -> None:
        """See ``Generation.interrupt``. Takes no lock."""
        self._inner.interrupt(reason)

    def settle(self, reason: StopReason | None, seen: int, carry: bytes = b"") -> GenerationReport:
        """See ``Generation.settle``."""
        if self.report is None:
            report = self._inner.settle(reason, seen, carry)
            usage = attrs.evolve(report.usage, prompt_tokens=self._prompt_tokens)
            self.report = attrs.evolve(report, usage=usage)
            self.seen = seen
            # A prompt that nothing was computed of is not part of the history.
            if self._written or reason not in (StopReason.CANCELLED, StopReason.TIMED_OUT):
                self._session.remember(self.remembered(), carry)
        return self.report

    def remembered(self) -> list[int]:
        """What was submitted, and what the reader has seen."""
        return [*self._line, *self._written[: self.seen]]

    def counters(self) -> tuple[int, int, int]:
        """See ``Generation.counters``."""
        return self._inner.counters()

    def close(self) -> None:
        """The session was closed: whoever reads is told."""
        self._closed = True
        self._inner.interrupt(StopReason.CANCELLED)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the session was closed")
