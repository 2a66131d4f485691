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
        """Add many tokens: the same as a ``push`` for each, and quick where nothing is held back.

        Args:
            tokens: What stands for them.
            data: The bytes of each.
        """
        text = self._all_ready(data) if len(tokens) > 1 else None
        if text is None:
            for token, each in zip(tokens, data, strict=True):
                self.push(token, each)
        else:
            self._text = text
            self._whole = list(tokens)

    def _all_ready(self, data: Sequence[bytes]) -> str | None:
        """The text of these bytes if all of it can be handed out with nothing before; else None."""
        if self.stopped or self._text or self._unseen or self._whole or self._utf8.pending:
            return None
        try:
            text = b"".join(data).decode()
        except UnicodeDecodeError:
            return None
        stops = self._stops
        return None if stops and (stops.find(text) or stops.held_back(text)) else text

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
