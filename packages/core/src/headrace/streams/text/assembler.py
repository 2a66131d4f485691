"""Pieces in, readable text out, and the account of what the reader has seen.

Stands between a ``Generation`` (tokens) and the ``TokenStream`` (chunks). A
token counts as seen once any of its text was handed out: the session remembers
it whole. A token that is still waiting for the rest of its character, or that
may belong to a stop string, is not seen yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import attrs

from headrace.streams.text.stops import StopStrings
from headrace.streams.text.utf8 import Utf8Decoder, continues

_T = TypeVar("_T")


@attrs.define(slots=True)
class _Unseen(Generic[_T]):
    """A token of which nothing was handed out."""

    token: _T
    start: int
    """Index, in the whole text, of the first character that its bytes contribute to."""
    empty: bool
    before: bytes
    """Bytes that waited for this token to complete their character."""


class TextAssembler(Generic[_T]):
    """Turns pieces into text, holding back what is incomplete or may be a stop string.

    What stands for a token (its id, or more) is handed back as it came.

    Args:
        stop: Strings that end the generation; none of them is handed out.
        carry: Bytes of already remembered tokens whose text was never handed
            out, because the generation before was cancelled inside a character.
    """

    def __init__(self, stop: Iterable[str] = (), carry: bytes = b"") -> None:
        self._stops = StopStrings(stop)
        self._utf8 = Utf8Decoder()
        self._text = self._utf8.push(carry)
        self._taken = 0
        self._whole: list[_T] = []  # seen with the text that is there, before all of these:
        self._unseen: deque[_Unseen[_T]] = deque()
        self.stop_string: str | None = None
        """The stop string that came up; nothing follows then."""

    @property
    def stopped(self) -> bool:
        """Whether a stop string came up."""
        return self.stop_string is not None

    @property
    def held_back(self) -> int:
        """Characters decoded and not handed out."""
        return len(self._text)

    def push(self, token: _T, data: bytes) -> None:
        """Add a token's bytes; ignored after a stop string."""
        if self.stopped:
            return
        before = self._utf8.pending
        start = self._taken + len(self._text)
        if before and data and not continues(before, data[:1]):
            start += 1  # the bytes that waited become U+FFFD, a character of their own
        self._unseen.append(_Unseen(token, start, not data, before))
        self._text += self._utf8.push(data)
        self._look_for_stop()

    def extend(self, tokens: Sequence[_T], data: Sequence[bytes]) -> None:
        """Add many tokens: the same as a ``push`` for each, and quick for all that is whole.

        Args:
            tokens: What stands for them.
            data: The bytes of each.
        """
        whole = self._push_whole(tokens, data) if len(tokens) > 1 else 0
        for token, each in zip(tokens[whole:], data[whole:], strict=True):
            self.push(token, each)

    def _push_whole(self, tokens: Sequence[_T], data: Sequence[bytes]) -> int:
        """Add as many of these tokens as can be handed out whatever follows; how many they are."""
        if self.stopped or self._text or self._unseen or self._whole or self._utf8.pending:
            return 0
        whole = len(tokens)
        text, waiting = self._utf8.push(b"".join(data)), len(self._utf8.pending)
        if self._stops:
            if self._stops.find(text):
                whole = 0
            held = self._stops.held_back(text)
            waiting += len(text[len(text) - held :].encode())
        # What these begin with is whole if it ends with a character, before all that waits.
        while waiting and whole:
            whole = _before_end(data[:whole], waiting)
            self._utf8.reset()
            text = self._utf8.push(b"".join(data[:whole]))
            waiting = len(self._utf8.pending)
        if whole:
            self._text, self._whole = text, list(tokens[:whole])
        else:
            self._utf8.reset()
        return whole

    def take(self) -> tuple[str, list[_T]]:
        """Text that can be handed out now, and the tokens first seen by it."""
        ready = len(self._text)
        if self._stops and not self.stopped:
            ready -= self._stops.held_back(self._text)
        text, self._text = self._text[:ready], self._text[ready:]
        self._taken += ready
        return text, self._newly_seen()

    def finish(self) -> tuple[str, list[_T]]:
        """All that is left: an incomplete character as U+FFFD, text held back in vain."""
        if not self.stopped:
            self._text += self._utf8.flush()
            self._look_for_stop()
        text, self._text = self._text, ""
        self._taken += len(text)
        return text, self._newly_seen()

    def carry(self) -> bytes:
        """Bytes of seen tokens whose text was not handed out, for the next generation."""
        if self.stopped or self._whole:
            return b""
        if not self._unseen:
            return self._text.encode() + self._utf8.pending
        first = self._unseen[0]
        return self._text[: first.start - self._taken].encode() + first.before

    def _look_for_stop(self) -> None:
        found = self._stops.find(self._text) if self._stops else None
        if found is not None:
            start, self.stop_string = found
            self._text = self._text[:start]

    def _newly_seen(self) -> list[_T]:
        seen, self._whole = self._whole, []
        while self._unseen:
            first = self._unseen[0]
            # A token without text is seen as soon as all text before it is.
            if self._taken <= first.start - (1 if first.empty else 0):
                break
            seen.append(self._unseen.popleft().token)
        return seen


def _before_end(data: Sequence[bytes], n_bytes: int) -> int:
    """How many of these come before the last bytes, so many or more."""
    at = len(data)
    while at > 0 and n_bytes > 0:
        at -= 1
        n_bytes -= len(data[at])
    return at
