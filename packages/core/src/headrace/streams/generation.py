"""Where a stream's tokens come from: what a session supplies for each of its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from headrace.errors import HeadraceError
    from headrace.results import Receipt, StopReason, Timings, TokenLogprob, Usage
    from headrace.results.chat import ChatChunk
    from headrace.streams.parser import RenderedChat


@attrs.frozen
class Piece:
    """One token of output."""

    token: int | None
    """Its id; None where the backend sends text only."""
    data: bytes
    """The bytes it stands for: possibly part of a UTF-8 character, empty for an eog token."""
    logprob: TokenLogprob | None = None
    """If asked for."""


@attrs.frozen
class Delta:
    """What one ``pull`` brought."""

    pieces: tuple[Piece, ...] = ()
    end: StopReason | None = None
    """Set on the last delta of a generation."""
    stop_string: str | None = None
    """Which one it was, where a service finds them itself and ends with ``STOP_STRING``."""
    usage: Usage | None = None
    """What a service has counted, for ``ServiceSession``: the last one told counts."""
    added: ChatChunk | HeadraceError | None = None
    """What it adds to the message that answers a conversation, beside what the parser of the
    rendered conversation reads in its text; or why the answer cannot be read."""


@attrs.frozen
class GenerationReport:
    """The numbers of an ended generation."""

    usage: Usage
    timings: Timings
    receipt: Receipt


class Generation(Protocol):
    """What a session supplies for one stream. One reader at a time.

    One whose ``settle`` waits for another process or machine has an ``async def aside(work)``
    too: it calls ``work``, which settles, where that blocks no event loop. One with an attribute
    ``chunks`` gets there, when its stream begins, the list of what the reader has been given.
    """

    carry: bytes
    """Bytes of remembered tokens whose text was never shown; the stream begins with them."""

    @property
    def interrupted(self) -> StopReason | None:
        """The reason of an early end that was asked for."""
        ...

    def pull(self, max_wait: float | None) -> Delta | None:
        """The next output, or None if none arrived within ``max_wait`` seconds (None: wait).

        Raises:
            HeadraceError: If the generation failed; the stream ends with it.
        """
        ...

    async def apull(self, max_wait: float | None) -> Delta | None:
        """The same for a task of asyncio or trio: waits without blocking the event loop."""
        ...

    def deliver(self, pieces: int) -> bool:
        """The reader is about to see that many more pieces, in the order they were pulled.

        Returns False, and counts nothing, if the generation was interrupted meanwhile.
        """
        ...

    def interrupt(self, reason: StopReason) -> None:
        """Ask for an early end, from any thread, a finalizer or a signal handler: takes no lock.

        A pull that is waiting returns a delta whose ``end`` is the reason.
        """
        ...

    def settle(self, reason: StopReason | None, seen: int, carry: bytes = b"") -> GenerationReport:
        """End the generation: the session remembers what was seen and forgets the rest.

        Settling again returns the same report.

        Args:
            reason: Why it ended; None if it failed.
            seen: Pieces of all those pulled that the reader has seen.
            carry: Bytes of seen pieces whose text was not shown.
        """
        ...

    def counters(self) -> tuple[int, int, int]:
        """Tokens buffered, steps taken part in, waits for another reader's step."""
        ...


@attrs.frozen(eq=False)
class Begun:
    """A generation that has begun, and what is known of it."""

    generation: Generation
    prompt_tokens: int | None = None
    """Tokens of the prompt, for observers; None: unknown before the end."""
    chat: BegunChat | None = None
    """Of the answer to a conversation."""
    keep: object = None
    """Kept alive as long as the stream."""


@attrs.frozen(eq=False)
class BegunChat:
    """What is known of a conversation when its answer begins."""

    rendered: RenderedChat
    """The conversation as the model sees it, and what reads the answer."""
    prompt_tokens: int | None = 0
    """Tokens of the rendered conversation; None: unknown, and the report tells them."""
    reused: int = 0
    """How many of them the session's history held already."""
