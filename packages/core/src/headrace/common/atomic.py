"""Files appear whole or not at all: written under a temporary name, then renamed.

Everything that headrace writes for a caller goes through here. A rename replaces whatever has
the name, be it a device that the whole system uses, so a target is a regular file or a new name.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from headrace.errors import ParamsError

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def place_of(target: str | os.PathLike[str]) -> Path:
    """Where a target's bytes go: itself, or the regular file that a symbolic link leads to.

    Raises:
        ParamsError: If something is there that is no regular file, or a link leads nowhere.
        OSError: If that cannot be told.
    """
    place = Path(os.path.realpath(target))
    try:
        kind = stat.S_IFMT(place.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(target):
            raise _refused(target, "a link that leads nowhere") from None
        return place
    if kind != stat.S_IFREG:
        raise _refused(target, _KINDS.get(kind, "something else"))
    return place


def _refused(target: str | os.PathLike[str], what: str) -> ParamsError:
    return ParamsError(
        f"the target {os.fspath(target)!r} is {what}; only a regular file is replaced",
        hint="Choose another name.",
    )


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A name beside the target to write to; renamed to the target at the end.

    If the block raises, what was written is removed and the target stays as it was.

    Raises:
        ParamsError: If the target is neither a regular file nor a new name, before the block
            and, had it become that meanwhile, after it.
    """
    place = place_of(target)
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(place_of(target))
    finally:
        temporary.unlink(missing_ok=True)
