"""``--load-state`` and ``--save-state``: what is wrong with them is told before the generation."""

from __future__ import annotations

import errno
import os
import stat

from headrace.errors import ParamsError, StateError


def check_states(load: str | None, save: str | None) -> None:
    """Raise for files that cannot be read, or written at the end.

    Raises:
        ParamsError: If the target is no place for a file.
        StateError: If the system refuses.
    """
    if load is not None:
        _check_source(load)
    if save is not None:
        _check_target(save)


def _check_source(name: str) -> None:
    try:
        is_folder = stat.S_ISDIR(os.stat(name).st_mode)
    except OSError as error:
        raise StateError(f"the state cannot be read from {name!r}: {error.strerror}") from error
    if is_folder or not os.access(name, os.R_OK):
        reason = os.strerror(errno.EISDIR if is_folder else errno.EACCES)
        raise StateError(f"the state cannot be read from {name!r}: {reason}")


def _check_target(name: str) -> None:
    try:
        path = os.path.realpath(name)
    except OSError as error:  # the working directory has gone
        raise StateError(f"the state cannot be written to {name!r}: {error.strerror}") from error
    if os.path.exists(path) and not os.path.isfile(path):
        raise ParamsError(
            f"--save-state must name a new file or a regular one, got {name!r}",
            hint="A folder, a pipe or a device cannot be replaced by a file.",
        )
    folder = os.path.dirname(path)
    reason = None
    if not os.path.isdir(folder):
        reason = f"there is no folder {folder!r}"
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = f"the folder {folder!r} cannot be written to"
    if reason is not None:
        raise StateError(f"the state cannot be written to {name!r}: {reason}")
