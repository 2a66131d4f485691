"""Comparing a file with the digest it must have."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from headrace.errors import ModelFormatError

_BLOCK = 2**20


def check_digest(path: Path, digest: str, report: Callable[[float], object]) -> None:
    """Raise unless the file has the digest.

    Args:
        path: The file.
        digest: A sha256 (64 hexadecimal digits), or a git blob's sha1 (40); anything else
            is no digest, and not compared.
        report: Takes the share that is done.

    Raises:
        ModelFormatError: If it is another file.
    """
    found = _digest_like(path, digest, report)
    if found is not None and found != digest:
        raise ModelFormatError(
            f"the fetched file is not the one that was announced: its digest is {found}, "
            f"not {digest}",
            hint="Do not use it. Try again; if it stays so, the server or a proxy in between "
            "hands out another file.",
        )


def _digest_like(path: Path, digest: str, report: Callable[[float], object]) -> str | None:
    size = path.stat().st_size
    if re.fullmatch(r"[0-9a-f]{64}", digest):
        running = hashlib.sha256()
    elif re.fullmatch(r"[0-9a-f]{40}", digest):
        running = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    else:
        return None
    done = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            running.update(block)
            done += len(block)
            report(done / size)
    return running.hexdigest()
