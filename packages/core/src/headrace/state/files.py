"""States in files and buffers: written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from headrace.common.atomic import place_of, replacing
from headrace.errors import ParamsError, StateError

_MODE = 0o600
"""Whoever reads a state reads the conversation."""
StateTarget = str | os.PathLike[str] | BinaryIO
"""Where a state goes: a path, or something with ``write`` that takes bytes."""
StateSource = str | os.PathLike[str] | BinaryIO | bytes | bytearray | memoryview
"""Where a state comes from: a path, something with ``read``, or the bytes themselves."""


def check_target(target: Any) -> StateTarget:
    """The target itself, if a state can be written to it.

    Raises:
        ParamsError: If it is neither a path nor something with ``write``, or a path at which
            something else than a regular file is.
        StateError: If the system does not tell what is there.
    """
    if isinstance(target, (str, os.PathLike)):
        name = os.fspath(target)
        with _errors_named("written to", name):
            place_of(name)
    elif not hasattr(target, "write"):
        raise ParamsError(f"target must be a path or a binary file, got {target!r:.60}")
    return cast(StateTarget, target)


def write_state(target: StateTarget, parts: Iterable[bytes | memoryview]) -> None:
    """Write the parts, one after the other.

    A file is replaced in one step once all of it is on the disk: whatever fails
    before leaves the old one. It is readable by its owner only.

    Raises:
        StateError: If it cannot be written.
    """
    if not isinstance(target, (str, os.PathLike)):
        for part in parts:
            _write_part(target, part)
        return
    name = os.fspath(target)
    with _errors_named("written to", name):
        path = place_of(name)
        with replacing(path) as temporary:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
            with open(descriptor, "wb") as file:
                file.writelines(parts)
        _sync_folder(path.parent)


def _write_part(target: Any, part: bytes | memoryview) -> None:
    """Write all of a part; an unbuffered file may take less at a time."""
    left = memoryview(part)
    while len(left):
        try:
            written = target.write(left)
        except TypeError as error:
            raise ParamsError(
                f"target does not take bytes: {error}", hint="Open files with mode 'wb'."
            ) from error
        except (OSError, ValueError) as error:
            raise StateError(
                f"the state cannot be written: {error}",
                hint="The file must be open for writing, and have room.",
            ) from error
        if written == 0:
            raise StateError("the state cannot be written: the file takes no more bytes")
        left = left[written if isinstance(written, int) else len(left) :]


def read_state(source: StateSource) -> memoryview:
    """All the bytes of a state.

    Raises:
        ParamsError: If the source is nothing that bytes come from.
        StateError: If it cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        with _errors_named("read from", name):
            return memoryview(Path(name).read_bytes())
    try:
        data = source.read() if hasattr(source, "read") else source
    except (OSError, ValueError) as error:
        raise StateError(
            f"the state cannot be read: {error}", hint="The file must be open for reading."
        ) from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ParamsError(
            f"source must be a path, a binary file or bytes, got {source!r:.60}",
            hint="Open files with mode 'rb'.",
        )
    # A copy, if the caller could change it: the memory is read from it later.
    return memoryview(data if isinstance(data, bytes) else bytes(data))


def _sync_folder(folder: Path) -> None:
    """Have the new name reach the disk too, where folders can be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _errors_named(what: str, name: str) -> Iterator[None]:
    try:
        yield
    except ParamsError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StateError(f"the state cannot be {what} {name!r}: {reason}") from error
