"""Handles are not copied: what they stand for is there once.

A copy would share the memory, the native object or the process behind the original and
give it back when it is dropped. Every handle of headrace therefore inherits this refusal,
and so do those of backends that extend ``Model`` and ``Session``.
"""

from __future__ import annotations

from typing import NoReturn

from headrace.errors import CopyError


class Uncopyable:
    """Refuses ``copy.copy``, ``copy.deepcopy`` and ``pickle``, all of which ask ``__reduce__``."""

    __slots__ = ()

    instead = "It belongs to the process that made it; pass on what it brings."
    """What to do instead of copying it."""

    def __reduce__(self) -> NoReturn:
        raise CopyError(
            f"{type(self).__name__} objects cannot be copied or pickled: "
            "each stands for something that is there once",
            hint=self.instead,
        )
