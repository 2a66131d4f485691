"""What a ``Vocabulary`` may have beside its own methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class ListsPieces(Protocol):
    """A ``Vocabulary`` that tells the bytes of all its tokens at once."""

    def pieces(self) -> Sequence[bytes]:
        """What ``piece`` gives for each token, in their order."""
        ...
