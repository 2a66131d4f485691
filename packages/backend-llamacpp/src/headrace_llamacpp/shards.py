"""Models in several files: ``name-00001-of-00003.gguf`` and its sisters.

llama.cpp is given the first and finds the others by their names. Which files
belong together is written in them; names are looked at here for sizes and for
errors that say which file is wrong.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from headrace.errors import HeadraceError, ModelFormatError, ModelNotFoundError

_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
_ABOUT_PARTS = re.compile(r"GGUF split|split file|the first split")
_MOST_PARTS = 1000


def parts(path: Path) -> list[Path]:
    """All files of the model whose first file this is, as far as its name says."""
    named = _NAME.fullmatch(path.name)
    if not named or not 1 < int(named["count"]) <= _MOST_PARTS or int(named["number"]) != 1:
        return [path]
    return _sisters(path, named)


def size_of(path: Path) -> int:
    """Bytes of all files of a model that are there."""
    return sum(part.stat().st_size for part in parts(path) if part.is_file())


def error_about_parts(path: Path, reason: str) -> HeadraceError | None:
    """The error for a load that failed because of the model's parts, if that is the reason."""
    if not _ABOUT_PARTS.search(reason):
        return None
    named = _NAME.fullmatch(path.name)
    name = os.fspath(path)
    if not named:
        return ModelFormatError(
            f"{name!r} is one of several files of a model, and its name does not say which: "
            f"{reason}",
            hint="Give the files the names that they had, such as model-00001-of-00003.gguf.",
            backend="llamacpp",
        )
    number, count = int(named["number"]), int(named["count"])
    if number != 1:
        first = os.fspath(_sisters(path, named)[0])
        return ModelFormatError(
            f"{name!r} is part {number} of a model in {count} files",
            hint=f"Load the first part, which brings the others: {first!r}.",
            backend="llamacpp",
        )
    missing = [os.fspath(part) for part in parts(path) if not part.exists()]
    if missing:
        return ModelNotFoundError(
            f"the model at {name!r} is in {count} files, of which {len(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing: {', '.join(map(repr, missing[:5]))}",
            hint="Put all parts into one folder.",
            backend="llamacpp",
        )
    return ModelFormatError(
        f"a part of the model at {name!r} is damaged, or of another model: {reason}",
        hint="If it was downloaded, get it again and compare its checksum.",
        backend="llamacpp",
    )


def _sisters(path: Path, named: re.Match[str]) -> list[Path]:
    count = named["count"]
    return [
        path.with_name(f"{named['stem']}-{number:05d}-of-{count}.gguf")
        for number in range(1, int(count) + 1)
    ]
