"""What happens to an engine that breaks the decoder protocol: it is told, and it is noted.

A native library answers such a call with a crash or with silently wrong
tokens. The fake raises ``MisuseError`` and keeps it, so that a test can ask
for it even if something on the way swallowed it.
"""

from __future__ import annotations

from collections import deque
from typing import NoReturn

from headrace.errors import UsageError


class MisuseError(UsageError):
    """A call broke the protocol of the sequence decoder."""


class MisuseLog:
    """The latest violations of one backend, oldest first."""

    def __init__(self) -> None:
        self._errors: deque[MisuseError] = deque(maxlen=100)

    def refuse(self, message: str) -> NoReturn:
        """Note a violation and raise it."""
        error = MisuseError(message, backend="fake")
        self._errors.append(error)
        raise error

    @property
    def errors(self) -> tuple[MisuseError, ...]:
        """What was noted."""
        return tuple(self._errors)
