"""``TokenStream``: what ``session.generate`` returns, the same for every backend.

It pulls tokens out of a ``Generation``, turns them into text, finds stop
strings, watches the time-out and tells the generation what the reader saw.
Nothing runs ahead on its behalf: a stream that is not read costs nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

from headrace.common.closing import Closing
from headrace.common.locks import held_here
from headrace.errors import BusyError, HeadraceError, StreamConsumedError
from headrace.results import Chunk, Completion, StopReason, StreamStatistics
from headrace.streams.checked import CheckedGeneration
from headrace.streams.ends import UNFINISHED
from headrace.streams.observers import watch
from headrace.streams.text import TextAssembler

if TYPE_CHECKING:
    from headrace.results import ModelInfo
    from headrace.results.chat import ChatChunk
    from headrace.streams.generation import Delta, Generation, Piece


class TokenStream(Closing):
    """The tokens of one generation, as they come.

    Iterate it for ``Chunk`` objects; leave its ``with`` block, ``cancel()`` it
    or drop it to end the generation early. Several threads may share a stream:
    they take turns, and each chunk goes to one of them.

    Args:
        generation: Where the tokens come from.
        stop: Strings that end the generation.
        timeout: Seconds from now until the generation ends by itself; None: never.
        owner: Kept alive as long as the stream, usually the session.
        model: What observers are told the generation is of.
        prompt_tokens: Tokens of the prompt, for observers; None: unknown.
    """

    instead = "Read it where it is, and pass on its chunks or its result."

    def __init__(
        self,
        generation: Generation,
        *,
        stop: Sequence[str] = (),
        timeout: float | None = None,
        owner: object = None,
        model: ModelInfo | None = None,
        prompt_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self._generation = CheckedGeneration.of(generation, model.backend if model else "unknown")
        self._owner = owner
        self._assembler: TextAssembler[Piece] = TextAssembler(stop, self._generation.carry)
        self._deadline = None if timeout is None else time.monotonic() + timeout
        # Reentrant so that a signal handler that runs inside __next__ can be
        # told apart from another thread, instead of waiting for itself.
        self._lock = threading.RLock()
        # Chunks with the number of pieces in each: one append records both.
        self._handed_out: list[tuple[Chunk, int]] = []
        self._added_up = (0, 0)  # of so many of these the pieces
        self.added: ChatChunk | HeadraceError | None = None
        """What the chunk read last adds to a message, beside its text; see ``Delta.added``."""
        self._added: ChatChunk | HeadraceError | None = None  # not handed out yet
        self._refused = False
        # A generation whose history is text keeps it, also when the stream is dropped.
        if hasattr(generation, "chunks"):
            generation.chunks = self._handed_out
        self._ending: StopReason | None = None
        self._told_stop: str | None = None
        self._task_reads = False
        self._thread_reads = False
        self._completion: Completion | None = None
        self._failure: HeadraceError | None = None
        self._watch = watch(model, prompt_tokens)
        self._consumed = False

    # -- reading ----------------------------------------------------------

    def __iter__(self) -> Iterator[Chunk]:
        if self._consumed:
            raise StreamConsumedError(
                "this stream was read to its end",
                hint="Use stream.result for its text, or session.generate(None) to go on.",
            )
        return self

    def __next__(self) -> Chunk:
        """The next chunk.

        Raises:
            StopIteration: At the end; ``result`` is there then.
            HeadraceError: If the generation failed.
        """
        self._check_process()
        self._refuse_reentry()
        self._refuse_beside_task()
        if self._watch is None:
            return self._read()
        self._watch.start()
        try:
            return self._read()
        finally:
            self._tell_end()

    def _read(self) -> Chunk:
        with self._lock:
            try:
                self._thread_reads = True
                while not self._is_over():
                    chunk = self._ready_chunk()
                    if chunk is not None:
                        return chunk
                    if not self._is_over():
                        self._take_in(self._pull())
            except BaseException as error:
                self._note_failure(error)
                raise
            finally:
                self._thread_reads = False
        self._consumed = True
        raise StopIteration

    def __aiter__(self) -> AsyncIterator[Chunk]:
        self.__iter__()
        return self

    async def __anext__(self) -> Chunk:
        """The next chunk, under asyncio or trio; cancelling the task cancels the stream.

        Raises:
            StopAsyncIteration: At the end; ``result`` is there then.
            BusyError: If another task is reading the stream.
            HeadraceError: If the generation failed.
        """
        self._check_process()
        self._refuse_beside_task()
        if self._thread_reads:
            raise BusyError(
                "a thread is reading this stream",
                hint="Read a stream in threads or in one task, and pass the chunks on.",
            )
        if self._watch is not None:
            self._watch.start()
        self._task_reads = True
        try:
            while not self._is_over():
                chunk = await self._aready_chunk()
                if chunk is not None:
                    return chunk
                if not self._is_over():
                    delta = await self._apull()
                    with self._lock:
                        self._take_in(delta)
        except BaseException as error:
            self._note_failure(error)
            raise
        finally:
            self._task_reads = False
            self._tell_end()
        self._consumed = True
        raise StopAsyncIteration

    def _is_over(self) -> bool:
        if self._failure is not None:
            raise self._failure.again()
        return self._completion is not None

    def _note_failure(self, error: BaseException) -> None:
        if isinstance(error, BusyError):
            return  # misuse, from inside a step; the generation is as it was
        if isinstance(error, HeadraceError):
            if self._failure is None:
                self._failure = error.kept()
                with contextlib.suppress(HeadraceError):  # the first one is what is told
                    self._generation.settle(None, self._seen)
        else:
            # A KeyboardInterrupt may have lost a piece between two bytecodes;
            # going on would show text with a hole in it.
            self._generation.interrupt(StopReason.CANCELLED)

    def _ready_chunk(self) -> Chunk | None:
        """What can be handed out without another pull; may end the stream."""
        if self._ending is None and not self._assembler.stopped:
            text, pieces = self._assembler.take()
            new = text or pieces or self._added is not None
            return self._hand_out(text, pieces) if new else None
        if self._ending in UNFINISHED or self._refused:
            if self._ending in UNFINISHED:
                self._settle(self._ending)
            return None
        return self._last_chunk(self._ending)

    async def _aready_chunk(self) -> Chunk | None:
        """The same for a task; an end that another process is told of is a worker thread's."""
        if self._ending is not None or self._assembler.stopped:
            aside = getattr(self._generation, "aside", None)
            if aside is not None:
                ready: Chunk | None = await aside(self._locked_ready_chunk)
                return ready
        return self._locked_ready_chunk()

    def _locked_ready_chunk(self) -> Chunk | None:
        with self._lock:
            return self._ready_chunk()

    def _take_in(self, delta: Delta) -> None:
        """Give a delta's pieces to the assembler, unless what they follow was refused."""
        if not self._refused:
            self._assembler.extend(delta.pieces, [piece.data for piece in delta.pieces])
            self._added = delta.added
        self._ending, self._told_stop = delta.end, delta.stop_string

    def _last_chunk(self, end: StopReason | None) -> Chunk | None:
        """Hand out all that is left and settle, unless a cancel came in between."""
        text, pieces = self._assembler.finish()
        chunk = self._hand_out(text, pieces)
        if chunk is None:
            return None
        self._settle(StopReason.STOP_STRING if self._assembler.stopped else end)
        return chunk if text or pieces or self.added is not None else None

    def _pull(self) -> Delta:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            delta = self._generation.pull(left) if left > 0 else None
            if delta is not None:
                return delta
            self._generation.interrupt(StopReason.TIMED_OUT)
        delta = self._generation.pull(None)
        assert delta is not None, "a pull without a limit brings something"
        return delta

    async def _apull(self) -> Delta:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            delta = await self._generation.apull(left) if left > 0 else None
            if delta is not None:
                return delta
            self._generation.interrupt(StopReason.TIMED_OUT)
        delta = await self._generation.apull(None)
        assert delta is not None, "a pull without a limit brings something"
        return delta

    def _hand_out(self, text: str, pieces: list[Piece]) -> Chunk | None:
        """Record a chunk as seen; None if the generation was interrupted meanwhile."""
        chunk = Chunk(
            text,
            tuple(piece.token for piece in pieces if piece.token is not None),
            tuple(piece.logprob for piece in pieces if piece.logprob is not None),
        )
        # Recorded first and asked after: if a KeyboardInterrupt falls in
        # between, ``settle`` tells the generation what stands in the result.
        self._handed_out.append((chunk, len(pieces)))
        try:
            if self._generation.deliver(len(pieces)):
                # What its tokens have left, for whoever goes on after a cancel.
                self._generation.carry = self._assembler.carry()
                self.added, self._added = self._added, None
                return chunk
        except HeadraceError:
            self._handed_out.pop()
            raise
        self._handed_out.pop()
        self._refused = True
        return None

    def read(self) -> Completion:
        """Read it to its end; the whole generation, what was read before included.

        Raises:
            HeadraceError: If the generation failed.
        """
        for _ in self:
            pass
        return self.result

    async def aread(self) -> Completion:
        """``read`` for a task of asyncio or trio; cancelling the task cancels the stream."""
        async for _ in self:
            pass
        return self.result

    # -- ending -----------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the last chunk was handed out."""
        return self._completion is not None

    @property
    def over(self) -> bool:
        """Whether it has ended; one that was cancelled is settled first."""
        self._settle_if_cancelled()
        return self._completion is not None or self._failure is not None

    def cancel(self) -> None:
        """End the generation early, from any thread, also from a signal handler.

        The reader gets no further chunk; ``result`` tells what was delivered.
        Cancelling an ended stream does nothing.
        """
        self._check_process()
        if self._completion is None:
            self._generation.interrupt(StopReason.CANCELLED)

    def close(self) -> None:
        """Cancel, and wait until a reader in another thread has noticed."""
        self.cancel()
        self._settle_if_cancelled()

    async def aclose(self) -> None:
        """The same for a task; it waits for nothing but a thread that reads the stream."""
        aside = getattr(self._generation, "aside", None)
        if aside is None or self._completion is not None or self._failure is not None:
            self.close()
        else:
            self.cancel()  # not later than it was asked for
            await aside(self.close)

    def __del__(self) -> None:
        # Runs in any thread, at any allocation: no lock may be taken here.
        if getattr(self, "_consumed", True) or self._completion or not self._in_own_process():
            return
        with contextlib.suppress(HeadraceError):  # a backend's defect, and nobody to tell
            self._generation.interrupt(StopReason.CANCELLED)
        if self._watch is not None and self._failure is None:
            self._watch.abandon(self._seen)

    @property
    def result(self) -> Completion:
        """The whole generation.

        Raises:
            BusyError: Before the end.
            HeadraceError: What the generation failed with.
        """
        self._check_process()
        self._settle_if_cancelled()
        if self._failure is not None:
            raise self._failure.again()
        if self._completion is None:
            self._raise_failure()
            raise BusyError(
                "the generation is still running, so there is no result yet",
                hint="Read the stream to its end, or end it with stream.cancel().",
            )
        return self._completion

    def _raise_failure(self) -> None:
        """Raise what the generation failed with while nobody read it: its session was closed."""
        if self._task_reads or self._thread_reads:
            return  # whoever reads is told
        try:
            # Held for as long as a reader needs at most, who came in between.
            with self._lock:
                self._generation.deliver(0)
        except HeadraceError as error:
            self._note_failure(error)
            raise
        finally:
            self._tell_end()

    @property
    def generation(self) -> Generation:
        """Where the tokens come from: for a backend that carries them elsewhere.

        Whoever pulls it settles it, and does not read the stream beside that.
        """
        return self._generation

    def _described(self) -> str:
        state = "running"
        if self._completion is not None:
            state = f"ended by {self._completion.stop_reason.value}"
        elif self._failure is not None:
            state = f"failed with {type(self._failure).__name__}"
        return f"of {len(self._handed_out)} chunks, {state}"

    def statistics(self) -> StreamStatistics:
        """What the stream is doing at the moment."""
        buffered, steps, waits = self._generation.counters()
        return StreamStatistics(
            buffered_tokens=buffered,
            held_back_characters=self._assembler.held_back,
            delivered_tokens=self._seen,
            steps=steps,
            waits=waits,
        )

    def _settle_if_cancelled(self) -> None:
        if held_here(self._lock) or not self._generation.interrupted:
            return  # called from inside __next__, which will settle by itself
        with self._lock:
            if self._completion is None and self._failure is None:
                self._settle(self._generation.interrupted)
        self._tell_end()

    def _tell_end(self) -> None:
        """Tell the observers if the generation has ended; to be called without the lock."""
        ended = self._completion is not None or self._failure is not None
        if self._watch is not None and ended:
            self._watch.end(self._completion, self._failure, self._seen)

    def _settle(self, reason: StopReason | None) -> None:
        assert reason is not None
        carry = self._generation.carry if reason in UNFINISHED else b""
        report = self._generation.settle(reason, self._seen, carry)
        self._completion = Completion(
            text="".join(chunk.text for chunk, _ in self._handed_out),
            tokens=tuple(token for chunk, _ in self._handed_out for token in chunk.tokens),
            stop_reason=reason,
            usage=report.usage,
            timings=report.timings,
            receipt=report.receipt,
            logprobs=tuple(each for chunk, _ in self._handed_out for each in chunk.logprobs),
            stop_string=self._stop_string() if reason is StopReason.STOP_STRING else None,
        )

    def _stop_string(self) -> str | None:
        """The one that was found here; else the one that whoever wrote the text has told."""
        return self._assembler.stop_string or self._told_stop

    @property
    def _seen(self) -> int:
        """Pieces the reader has seen."""
        # Only the last chunk is ever taken back: what stands before it is added up once.
        counted, pieces = self._added_up
        handed = self._handed_out
        most = len(handed) - 1
        if most > counted:
            pieces += sum(each[1] for each in handed[counted:most])
            self._added_up = (most, pieces)
            counted = most
        return pieces + sum(each[1] for each in handed[counted:])

    def _refuse_beside_task(self) -> None:
        if self._task_reads:
            raise BusyError(
                "another task is reading this stream",
                hint="Read a stream in one task, and pass the chunks on.",
            )

    def _refuse_reentry(self) -> None:
        if held_here(self._lock):
            raise BusyError(
                "this stream is being read further down on the same thread's stack",
                hint="Do not read a stream from a signal handler or finalizer; cancel it instead.",
            )
