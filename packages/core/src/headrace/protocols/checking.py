"""What backends may offer for looking at files that nobody trusts.

Both are optional. ``check_model`` looks for a backend that is a ``HostsChecks`` and has it run
the stages in a process of their own; a backend that ``ChecksFiles`` adds stages of its own in
front of those that every backend has: load, a few tokens, the chat template.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import attrs

from headrace.checks import CheckLimits, CheckStage
from headrace.protocols.waist import Backend, Model

StageBegins = Callable[[str], None]
"""Told the name of each stage before it is run."""


@attrs.frozen
class FileStage:
    """A stage that a backend adds."""

    name: str
    needs: str | None
    """The stage without which it makes no sense; None: it can always be run."""
    run: Callable[[], str]
    """Looks at the file; returns a few words about what it found, or raises a
    ``HeadraceError``. It may end the process, too."""


@runtime_checkable
class ChecksFiles(Protocol):
    """A backend that can look at a file more closely than by loading it."""

    def file_stages(self, path: str) -> Sequence[FileStage]:
        """The stages for a file, in order. Nothing of the file is looked at yet.

        The stage ``load`` is run if the last of them passed.
        """
        ...

    def has_chat_template(self, model: Model) -> bool:
        """Whether a model that was loaded has a template to be rendered."""
        ...


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
    """A backend that gives checks a process of their own."""

    def open_checker(self, backend: Backend, limits: CheckLimits) -> Checker:
        """A checker whose process looks at files with another backend."""
        ...
