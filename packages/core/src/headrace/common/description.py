"""What an object says of itself in a debugger or a log: one line, at any moment of its life.

A debugger asks objects that are half made, closed, of another process or in the middle of a
step. So nothing here takes a lock, reads a file or raises, and no prompt, text or key is shown.
"""

from __future__ import annotations


class Described:
    """Gives ``repr`` as ``<Class …>``."""

    __slots__ = ()

    def __repr__(self) -> str:
        kind = type(self).__name__
        try:
            return f"<{kind} {self._described()}>"
        except Exception:
            return f"<{kind}, half made>"  # its constructor was interrupted

    def _described(self) -> str:
        """The object in a few words, without taking a lock."""
        return f"at {id(self):#x}"
