"""What a host object may have beside the methods of ``Host``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from headrace.backend.backend import Backend
    from headrace.results.check import CheckLimits, CheckStage

StageBegins = Callable[[str], None]
"""Told the name of each stage before it is run."""


@runtime_checkable
class Checker(Protocol):
    """Looks at one file after the other."""

    def check(self, path: str, begins: StageBegins | None = None) -> tuple[CheckStage, ...]:
        """Run all stages on a file.

        Raises:
            BackendCrashedError: If no process can be started.
            BaseException: What ``begins`` raises.
        """
        ...

    def close(self) -> None:
        """End the process. Closing again does nothing."""
        ...


@runtime_checkable
class HostsChecks(Protocol):
    """A host that gives checks of files a process that may die."""

    def open_checker(self, backend: Backend, limits: CheckLimits) -> Checker:
        """A checker that looks at files with a backend of that name, within limits."""
        ...
