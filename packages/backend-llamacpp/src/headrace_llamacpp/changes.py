"""Model files that change under the model that is loaded from them.

Weights are mapped, not copied: what is written into the file is in the model at once, and what
is cut off ends the process when a computation reads it (SIGBUS). Neither can be prevented from
here, but a change can be seen before it does more harm.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from headrace.errors import ModelLoadError
from headrace_llamacpp.shards import parts

_REMEDY = "Write a new version under another name and rename it: a loaded model keeps the old one."


@attrs.frozen
class _Look:
    """A file at a moment."""

    identity: tuple[int, int]
    content: tuple[int, int]

    @classmethod
    def at(cls, path: Path) -> _Look | None:
        """The file, if it is there."""
        try:
            seen = path.stat()
        except OSError:
            return None
        return cls((seen.st_dev, seen.st_ino), (seen.st_size, seen.st_mtime_ns))


class Unchanged:
    """What the files of a model looked like before it was loaded.

    Args:
        path: Its file, or the first of them.
    """

    def __init__(self, path: Path) -> None:
        self._looks = {part: _Look.at(part) for part in parts(path)}

    def check_load(self) -> None:
        """Make sure that the files are the same ones, with the same content.

        Raises:
            ModelLoadError: If one is not: the model may be of two versions.
        """
        for path, look in self._looks.items():
            if _Look.at(path) != look:
                raise ModelLoadError(
                    f"the model file {os.fspath(path)!r} changed while it was loaded",
                    hint=f"Load it again. {_REMEDY}",
                    backend="llamacpp",
                )

    def check_mapped(self) -> None:
        """Make sure that nothing was written into the files. Others may have their names.

        Raises:
            ModelLoadError: If something was.
        """
        for path, look in self._looks.items():
            now = _Look.at(path)
            if look and now and now.identity == look.identity and now.content != look.content:
                raise ModelLoadError(
                    f"the model file {os.fspath(path)!r} was changed since the model was loaded",
                    hint=f"Close the model and load it again. {_REMEDY}",
                    backend="llamacpp",
                )
