"""A file of keys: one a line, with its name and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headrace.errors import ParamsError
from headrace_server.settings import ApiKey

_LIMITS = {"max_concurrent": int, "requests_per_minute": float}
_SHAPE = "KEY [NAME] [max_concurrent=N] [requests_per_minute=N]"


def keys_of(path: Path) -> tuple[ApiKey, ...]:
    """The keys of a file.

    Empty lines, and what follows a ``#`` at the beginning of a line or after a space, are passed
    over.

    Raises:
        ParamsError: For a file that cannot be read or has no key, or a line that is no key; keys
            are not shown in it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ParamsError(f"--api-key-file {path}: {why}") from error
    found = tuple(_keys(path, lines))
    if not found:
        raise ParamsError(f"--api-key-file {path} has no key", hint=f"A line for each: {_SHAPE}.")
    return found


def _keys(path: Path, lines: list[str]) -> Iterator[ApiKey]:
    for number, line in enumerate(lines, 1):
        words = f" {line}".partition(" #")[0].split()
        if words:
            try:
                yield _key(words)
            except (ParamsError, ValueError) as error:
                what = error.message if isinstance(error, ParamsError) else str(error)
                raise ParamsError(
                    f"--api-key-file {path}, line {number}: {what}", hint=f"A line is: {_SHAPE}."
                ) from error


def _key(words: list[str]) -> ApiKey:
    secret, *rest = words
    name = rest.pop(0) if rest and "=" not in rest[0] else ""
    limits: dict[str, Any] = {}
    for word in rest:
        limit, equals, value = word.partition("=")
        if not equals or limit not in _LIMITS or limit in limits:
            raise ValueError(f"{word!r:.60} is none of its limits, or stands there twice")
        try:
            limits[limit] = _LIMITS[limit](value)
        except ValueError:
            raise ValueError(f"{limit} must be a number, got {value!r:.60}") from None
    return ApiKey(key=secret, name=name, **limits)
