"""A file that a download is written into, and that a later one can go on with."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any


class PartialFile(io.FileIO):
    """What is there is kept; whatever is written is reported at once.

    Args:
        path: The file.
        size: Bytes it will have in the end. One that is larger already is emptied.
        report: Takes the share that is there; what it raises comes out of ``write``.
    """

    def __init__(self, path: Path, size: int, report: Callable[[float], object]) -> None:
        super().__init__(path, "ab+")
        self._size = size
        self._report = report
        self.length = self.seek(0, io.SEEK_END)
        """Bytes that were there when it was opened."""
        self._best = 0.0
        if self.length > size:
            self.truncate(0)
            self.length = 0

    def write(self, data: Any, /) -> int:
        """Append all of it."""
        left = memoryview(data)
        while left:
            left = left[super().write(left) or 0 :]
        # A server that cannot go on in the middle begins again; what was told stays told.
        self._best = max(self._best, self.tell() / (self._size or 1))
        self._report(self._best)
        return len(data)
