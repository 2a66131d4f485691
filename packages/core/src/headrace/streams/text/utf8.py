"""Bytes to characters, as they come: never half a character, never one lost.

A token may stand for part of a UTF-8 character, so bytes wait here until their
character is whole. Bytes that cannot become one turn into U+FFFD, exactly as
``bytes.decode("utf-8", "replace")`` would do with all of them at once.
"""

from __future__ import annotations

import codecs

_Incremental = codecs.getincrementaldecoder("utf-8")


class Utf8Decoder:
    """Decodes UTF-8 in any split of its bytes."""

    def __init__(self) -> None:
        self._decoder = _Incremental("replace")

    def push(self, data: bytes) -> str:
        """Characters that are whole now."""
        return self._decoder.decode(data)

    def flush(self) -> str:
        """What an incomplete character becomes at the end: U+FFFD, or nothing."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text

    def reset(self) -> None:
        """Forget the bytes that wait."""
        self._decoder.reset()

    @property
    def pending(self) -> bytes:
        """Bytes of a character that is not whole yet (three at most)."""
        return self._decoder.getstate()[0]


def continues(pending: bytes, first: bytes) -> bool:
    """Whether a byte belongs to the character that the pending bytes began."""
    try:
        _Incremental("strict").decode(pending + first)
    except UnicodeDecodeError:
        return False
    return True
