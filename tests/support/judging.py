"""Instances as a grammar of a schema writes them: its order of properties, its form of numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from headrace.masks.matcher import Matcher
from tests.support.taking import END, following

MOST_TRIES = 4000
"""Names that are tried for one instance before it counts as refused."""


def written(grammar: Any, value: Any, *, separators: tuple[str, str] = (", ", ": ")) -> str | None:
    """A JSON text of the value that the grammar takes; None if there is none.

    Properties are tried in the order of the value first, then in any other; a number with a
    fraction of nothing as an integer too.

    Args:
        grammar: As for ``taking.takes``.
        value: What ``json.loads`` gives.
        separators: As for ``json.dumps``.
    """
    matcher = grammar if isinstance(grammar, Matcher) else following(grammar)
    found = _Writer(matcher, separators).after(b"", value)
    if found is None or matcher.n_allowed([], [*found, END]) != len(found) + 1:
        return None
    return found.decode("utf-8", "surrogatepass")


class _Writer:
    """Writes one value.

    Args:
        matcher: Over bytes.
        separators: As for ``json.dumps``.
    """

    def __init__(self, matcher: Matcher, separators: tuple[str, str]) -> None:
        self._matcher = matcher
        self._between, self._colon = (each.encode() for each in separators)
        self._tries = 0

    def after(self, prefix: bytes, value: Any) -> bytes | None:
        """The text with the value behind it."""
        if isinstance(value, dict):
            return self._object(prefix, dict(value), b"{")
        if isinstance(value, list):
            return self._array(prefix, value)
        forms = (self._going(prefix, form) for form in _forms(value))
        return next((form for form in forms if form is not None), None)

    def _going(self, prefix: bytes, text: bytes) -> bytes | None:
        taken = self._matcher.n_allowed(list(prefix), list(text))
        return prefix + text if taken == len(text) else None

    def _array(self, prefix: bytes, items: list[Any]) -> bytes | None:
        at = self._going(prefix, b"[")
        for index, item in enumerate(items):
            if at is not None and index:
                at = self._going(at, self._between)
            at = None if at is None else self.after(at, item)
        return None if at is None else self._going(at, b"]")

    def _object(self, prefix: bytes, left: dict[str, Any], before: bytes) -> bytes | None:
        """The object with its remaining properties, in whatever order."""
        if not left:
            empty = before == b"{"
            return self._going(prefix, b"{}" if empty else b"}")
        for name, value in left.items():
            self._tries += 1
            if self._tries > MOST_TRIES:
                return None
            key = json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")
            at = self._going(prefix, before + key + self._colon)
            at = None if at is None else self.after(at, value)
            if at is None:
                continue
            rest = {each: left[each] for each in left if each != name}
            done = self._object(at, rest, self._between)
            if done is not None:
                return done
        return None


def _forms(value: Any) -> Iterator[bytes]:
    text = json.dumps(value, ensure_ascii=False)
    yield text.encode("utf-8", "surrogatepass")
    if isinstance(value, float) and value.is_integer():
        yield str(int(value)).encode()
