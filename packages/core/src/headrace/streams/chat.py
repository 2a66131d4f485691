"""``ChatStream``: what ``session.chat`` returns, a message as it is written.

It stands over a ``TokenStream``, which keeps the rules of reading, cancelling and
ending. What was written so far is read as a message after every chunk, and the
difference to the reading before is handed out.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import attrs

from headrace.common.closing import Closing
from headrace.common.workers import in_worker
from headrace.errors import ChatParseError, HeadraceError, StreamConsumedError
from headrace.results import StopReason, StreamStatistics
from headrace.results.chat import ChatChunk, ChatCompletion, ChatMessage
from headrace.streams.deltas import MessageDeltas

if TYPE_CHECKING:
    from headrace.results import Chunk
    from headrace.streams.generation import Generation
    from headrace.streams.parser import RenderedChat
    from headrace.streams.tokens import TokenStream

_WHOLE = (StopReason.EOG, StopReason.STOP_STRING)
"""Ends at which the model has written all it wanted to."""
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 9
"""Some templates take ids of this length only."""
_SHORT = 4096
"""Characters of an answer that are read in so little time that an event loop does not notice."""


class ChatStream(Closing):
    """An answer as it comes: iterate it for ``ChatChunk`` objects.

    Leave its ``with`` block, ``cancel()`` it or drop it to end the answer early.
    The chunks one after the other are ``result.message``.

    Args:
        stream: Where the text comes from.
        rendered: The request that is being answered.
        prompt_tokens: Tokens of the rendered conversation; None: what the generation reports.
        reused: How many of them the session's history held already.
    """

    instead = "Read it where it is, and pass on its chunks or its result."

    def __init__(
        self,
        stream: TokenStream,
        rendered: RenderedChat,
        *,
        prompt_tokens: int | None,
        reused: int,
    ) -> None:
        super().__init__()
        self.prompt = rendered.prompt
        """The conversation as the model sees it."""
        self.rendered = rendered
        """The request that is being answered, with the parser of its answers."""
        self.prompt_tokens = prompt_tokens
        """Tokens of the rendered conversation; None where a service tells them at the end."""
        self.reused = reused
        """How many of them the session's history held already."""
        self._stream = stream
        # Not a method of its own: a stream in a cycle would end with the collector's next
        # round, not when it is dropped.
        self._deltas = MessageDeltas(functools.partial(_make_id, rendered.prompt))
        # Reentrant for the reason that the stream's own lock is.
        self._lock = threading.RLock()
        self._text = ""
        self._reading = ChatMessage(role="assistant")
        self._message: ChatMessage | None = None
        self._failure: HeadraceError | None = None
        self._consumed = False

    # -- reading ----------------------------------------------------------

    def __iter__(self) -> Iterator[ChatChunk]:
        if self._consumed:
            raise StreamConsumedError(
                "this stream was read to its end", hint="Use stream.result for its message."
            )
        return self

    def __next__(self) -> ChatChunk:
        """The next chunk.

        Raises:
            StopIteration: At the end; ``result`` is there then.
            ChatParseError: If the whole answer is not in the template's format.
            HeadraceError: If the generation failed.
        """
        with self._lock:
            try:
                while not self._over():
                    chunk = self._read_on(next(self._stream, None))
                    if chunk is not None:
                        return chunk
            except BaseException as error:
                self._note_failure(error)
                raise
        self._consumed = True
        raise StopIteration

    def __aiter__(self) -> AsyncIterator[ChatChunk]:
        self.__iter__()
        return self

    async def __anext__(self) -> ChatChunk:
        """The next chunk, under asyncio or trio; cancelling the task cancels the stream.

        Raises:
            StopAsyncIteration: At the end; ``result`` is there then.
            ChatParseError: If the whole answer is not in the template's format.
            BusyError: If another task is reading the stream.
            HeadraceError: If the generation failed.
        """
        try:
            while not self._over():
                text = await anext(self._stream, None)
                chunk = await self._aread(text)
                if chunk is not None:
                    return chunk
        except BaseException as error:
            self._note_failure(error)
            raise
        self._consumed = True
        raise StopAsyncIteration

    def _read_on(self, chunk: Chunk | None) -> ChatChunk | None:
        """What the next chunk of text, or the end of it, adds to the message."""
        return self._finish() if chunk is None else self._take(chunk.text)

    async def _aread(self, chunk: Chunk | None) -> ChatChunk | None:
        """The same for a task; a parser elsewhere, or a long answer, is a worker thread's."""
        aside = getattr(self.rendered.parser, "aside", None)
        if aside is None and len(self._text) < _SHORT:
            return self._read_on(chunk)
        read = functools.partial(self._read_on, chunk)
        added: ChatChunk | None = await (in_worker(read) if aside is None else aside(read))
        return added

    def _over(self) -> bool:
        if self._failure is not None:
            raise self._failure.again()
        return self._message is not None

    def _note_failure(self, error: BaseException) -> None:
        # A KeyboardInterrupt may have lost a chunk between two bytecodes; going on would
        # show an answer with a hole in it.
        if not isinstance(error, HeadraceError):
            self._stream.cancel()

    def _take(self, text: str) -> ChatChunk | None:
        """What a chunk of text adds to the message."""
        if not text:
            return None
        self._text += text
        self._reading = self._read_so_far(self._text)
        return self._deltas.advance(self._reading)

    def _read_so_far(self, text: str) -> ChatMessage:
        """A reading of an unfinished answer; the one before if there is none of this text."""
        try:
            return self.rendered.parser.parse(text, partial=True)
        except ChatParseError:
            return self._reading  # more text may make a message of it; if not, the end says so

    def _finish(self) -> ChatChunk | None:
        """Read the whole answer; what was not handed out of it yet."""
        done = self._stream.result
        try:
            if done.stop_reason in _WHOLE:
                message = self.rendered.parser.parse(done.text, partial=False)
            else:
                message = self._read_so_far(done.text)
            self._message, chunk = self._deltas.finish(message, done.text)
        except HeadraceError as error:
            self._failure = error.kept()
            raise
        return chunk

    def read(self) -> ChatCompletion:
        """Read it to its end; the whole answer, what was read before included.

        Raises:
            ChatParseError: If it is not in the template's format.
            HeadraceError: If the generation failed.
        """
        for _ in self:
            pass
        return self.result

    async def aread(self) -> ChatCompletion:
        """``read`` for a task of asyncio or trio; cancelling the task cancels the stream."""
        async for _ in self:
            pass
        return self.result

    # -- ending -----------------------------------------------------------

    def cancel(self) -> None:
        """End the answer early, from any thread, also from a signal handler.

        The reader gets no further text; ``result`` tells what was delivered.
        """
        self._stream.cancel()

    def close(self) -> None:
        """Cancel, and wait until a reader in another thread has noticed."""
        self._stream.close()

    async def aclose(self) -> None:
        """The same for a task; it waits for nothing but a thread that reads the stream."""
        await self._stream.aclose()

    @property
    def result(self) -> ChatCompletion:
        """The whole answer.

        Raises:
            BusyError: Before the end.
            ChatParseError: If it is not in the template's format.
            HeadraceError: What the generation failed with.
        """
        self._check_process()
        done = self._stream.result
        with self._lock:
            if not self._over():
                self._finish()
        assert self._message is not None
        usage = done.usage
        if self.prompt_tokens is not None:
            usage = attrs.evolve(
                usage,
                prompt_tokens=self.prompt_tokens,
                cached_tokens=min(usage.cached_tokens, self.reused),
            )
        return ChatCompletion(
            message=self._message,
            stop_reason=done.stop_reason,
            text=done.text,
            tokens=done.tokens,
            usage=usage,
            timings=done.timings,
            receipt=done.receipt,
            logprobs=done.logprobs,
            stop_string=done.stop_string,
        )

    @property
    def text(self) -> str:
        """All that the model has written so far, before it is read as a message."""
        return self._text

    @property
    def generation(self) -> Generation:
        """Where the tokens come from; see ``TokenStream.generation``."""
        return self._stream.generation

    def _described(self) -> str:
        return f"over {self._stream!r}"

    def statistics(self) -> StreamStatistics:
        """What the stream is doing at the moment."""
        return self._stream.statistics()


def _make_id(prompt: str, index: int) -> str:
    """An id for a call: the same for the same conversation, as the tokens are."""
    digest = hashlib.sha256(f"{prompt}\0{index}".encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:_ID_LENGTH])
