"""Finding stop strings in text that arrives in pieces."""

from __future__ import annotations

from collections.abc import Iterable


class StopStrings:
    """A set of strings that end a generation.

    The one that is complete first wins, whatever the pieces were, so the text
    does not depend on how tokens happen to cut it.
    """

    def __init__(self, strings: Iterable[str] = ()) -> None:
        self._strings = tuple(dict.fromkeys(strings))

    def __bool__(self) -> bool:
        return bool(self._strings)

    def find(self, text: str) -> tuple[int, str] | None:
        """The first complete stop string, with the index at which it begins."""
        found = [
            (start + len(string), start, string)
            for string in self._strings
            if (start := text.find(string)) >= 0
        ]
        return min(found)[1:] if found else None

    def held_back(self, text: str) -> int:
        """Length of the end of ``text`` in which a stop string may have begun."""
        return max((_overlap(text, string) for string in self._strings), default=0)


def _overlap(text: str, string: str) -> int:
    for length in range(min(len(string) - 1, len(text)), 0, -1):
        if text.endswith(string[:length]):
            return length
    return 0
