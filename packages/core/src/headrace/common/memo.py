"""``Memo``: what a function said, asked once for each argument."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Memo(dict[_K, _V]):
    """Answers of a function that always gives the same one, looked up as in a dictionary.

    For functions of something bounded, such as the tokens of a vocabulary: it never forgets. Two
    threads may ask at the same time; one answer then replaces its equal.

    Args:
        function: Called with an argument that was not seen before; what it raises passes, and is
            not remembered.
    """

    def __init__(self, function: Callable[[_K], _V]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: _K) -> _V:
        self[key] = value = self._function(key)
        return value
