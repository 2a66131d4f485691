"""``ChatStream``: what ``session.chat`` returns, a message as it is written.

It stands over a ``TokenStream``, which keeps the rules of reading, cancelling and
ending. Each chunk of its text is read as part of a message, here or by whoever
supplies the generation, and what it adds is handed out.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import attrs

from headrace.common.closing import Closing
from headrace.errors import HeadraceError, StreamConsumedError
from headrace.results.chat import ChatChunk, ChatCompletion, ChatMessage, Tool
from headrace.streams.deltas import ChunkedMessage
from headrace.streams.reading import Reading, checked_calls

if TYPE_CHECKING:
    from headrace.results import Chunk, StreamStatistics, TokenLogprob
    from headrace.streams.generation import BegunChat, Generation
    from headrace.streams.tokens import TokenStream

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 9
"""Some templates take ids of this length only."""


class ChatStream(Closing):
    """An answer as it comes: iterate it for ``ChatChunk`` objects.

    Leave its ``with`` block, ``cancel()`` it or drop it to end the answer early.
    The chunks one after the other are ``result.message``.

    Args:
        stream: Where the text comes from.
        chat: The conversation that is being answered.
        tools: What was offered; the arguments of calls are checked against their schemas.
    """

    instead = "Read it where it is, and pass on its chunks or its result."

    def __init__(self, stream: TokenStream, chat: BegunChat, tools: tuple[Tool, ...] = ()) -> None:
        super().__init__()
        self.rendered = chat.rendered
        """The request that is being answered."""
        self.prompt = self.rendered.prompt
        """The conversation as the model sees it."""
        self.prompt_tokens = chat.prompt_tokens
        """Tokens of the rendered conversation; None where a service tells them at the end."""
        self.reused = chat.reused
        """How many of them the session's history held already."""
        self._stream = stream
        self._reading = Reading(self.rendered.parser)
        self._tools = tools
        # Not a method of its own: a stream in a cycle would end with the collector's next
        # round, not when it is dropped.
        self._shown = ChunkedMessage(functools.partial(_make_id, self.prompt))
        # Reentrant for the reason that the stream's own lock is.
        self._lock = threading.RLock()
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._message: ChatMessage | None = None
        self._failure: HeadraceError | None = None
        self._torn = False
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
            ChatParseError: If the parser contradicts what it gave before.
            HeadraceError: If the generation failed.
        """
        with self._lock:
            try:
                while not self._over():
                    chunk = self._take(next(self._stream, None))
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
            ChatParseError: If the parser contradicts what it gave before.
            BusyError: If another task is reading the stream.
            HeadraceError: If the generation failed.
        """
        try:
            while not self._over():
                chunk = self._take(await anext(self._stream, None))
                if chunk is not None:
                    return chunk
        except BaseException as error:
            self._note_failure(error)
            raise
        self._consumed = True
        raise StopAsyncIteration

    def _over(self) -> bool:
        if self._failure is not None:
            raise self._failure.again()
        return self._message is not None

    def _note_failure(self, error: BaseException) -> None:
        # A KeyboardInterrupt may have lost a chunk between two bytecodes; going on would
        # show an answer with a hole in it.
        if not isinstance(error, HeadraceError):
            self._torn = True
            self._stream.cancel()

    def _take(self, chunk: Chunk | None) -> ChatChunk | None:
        """What the next chunk of text, or the end, adds to the message."""
        if chunk is not None:
            self._texts.append(chunk.text)
            self._logprobs.extend(chunk.logprobs)
        if chunk is None or self._stream.ended:
            return self._finish()
        try:
            return self._hand_out(self._reading.take(chunk.text))
        except HeadraceError as error:
            self._failure = error.kept()
            self._stream.cancel()
            raise

    def _finish(self) -> ChatChunk | None:
        """Read the whole answer; what was not handed out of it yet."""
        done = self._stream.result
        try:
            rest = None if self._torn else self._reading.finish(done.text, done.stop_reason)
            chunk = self._hand_out(rest)
            self._message = checked_calls(self._shown.message, self._tools, done.stop_reason)
        except HeadraceError as error:
            self._failure = error.kept()
            raise
        return chunk

    def _hand_out(self, read: ChatChunk | None) -> ChatChunk | None:
        """Note what was read here, and what the generation has added beside it."""
        added, self._stream.added = self._stream.added, None
        if isinstance(added, HeadraceError):
            raise added.again()
        if added is not None and read is not None:
            read = ChatChunk(
                read.content + added.content,
                read.reasoning + added.reasoning,
                read.tool_calls + added.tool_calls,
                read.unread or added.unread,
            )
        chunk = read or added
        return None if chunk is None else self._shown.add(chunk)

    def read(self) -> ChatCompletion:
        """Read it to its end; the whole answer, what was read before included.

        Raises:
            ChatParseError: If the parser contradicts what it gave before.
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
            ChatParseError: If the parser contradicts what it gave before.
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
        return "".join(self._texts)

    @property
    def logprobs(self) -> tuple[TokenLogprob, ...]:
        """One for each token read so far, if ``SamplingParams(logprobs=…)`` asked for them."""
        return tuple(self._logprobs)

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
