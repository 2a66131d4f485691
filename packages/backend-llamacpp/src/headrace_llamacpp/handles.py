"""The one owner of each native object.

Of a reference cycle, the interpreter finalizes the objects in any order, and may call
``__del__`` of a holder after that of what it holds. So nobody keeps a native pointer but its
handle, which forgets it when the object goes; and the shim takes NULL for what was closed.
(A pointer of ``ffi.gc`` would go on to look valid.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from headrace.common.uncopyable import Uncopyable
from headrace_llamacpp._native import ffi


class Handle(Uncopyable):
    """Owns one native object.

    Args:
        delete: What frees it; takes NULL, too.
        pointer: The object; NULL if it is made later.
    """

    __slots__ = ("__weakref__", "_delete", "pointer")

    def __init__(self, delete: Callable[[Any], None], pointer: Any = ffi.NULL) -> None:
        self.pointer = pointer
        """The object, to be read anew for every call; NULL once it was deleted."""
        self._delete = [delete]  # taken out by whoever deletes: of two threads, one does

    def delete(self) -> None:
        """Free the object. Doing it again does nothing; nobody may be using it."""
        try:
            delete = self._delete.pop()
        except (IndexError, AttributeError):  # or there was never anything to free
            return
        pointer, self.pointer = self.pointer, ffi.NULL
        delete(pointer)

    def __del__(self) -> None:
        # At exit a daemon thread may be using it, and the process gives everything back anyway.
        if not sys.is_finalizing():
            self.delete()
