"""Handles and forks: a handle belongs to the process that made it.

Native threads and locks do not survive a fork, so in the child every public
call raises before it touches one, and every destructor does nothing.
"""

from __future__ import annotations

import os

from headrace.common.description import Described
from headrace.common.uncopyable import Uncopyable
from headrace.errors import ForkedProcessError


class ProcessBound(Uncopyable, Described):
    """Base of handles that are unusable in a forked child, and nowhere copied."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def _in_own_process(self) -> bool:
        return os.getpid() == self._pid

    def _check_process(self) -> None:
        """Raise ``ForkedProcessError`` in a forked child."""
        if os.getpid() != self._pid:
            raise ForkedProcessError(
                f"this {type(self).__name__} belongs to process {self._pid}, "
                f"not to its forked child {os.getpid()}",
                hint="Load the model in the child, or start children with the 'spawn' method.",
            )
