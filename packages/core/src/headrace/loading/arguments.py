"""What the functions that take a model's reference check of their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from headrace.errors import ParamsError
from headrace.requests.checks import check_path

_T = TypeVar("_T")


def checked_options(options: object, caller: str) -> dict[str, object]:
    """What is for the backend alone, or a ``ParamsError`` that shows none of it."""
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise ParamsError(
            f"{caller}'s options must be a mapping from names to values, "
            f"got {type(options).__name__}"
        )
    return dict(options)


def checked_reference(reference: object, caller: str) -> str:
    """A reference as text, or a ``ParamsError`` that names the function it was given to."""
    return check_path(f"{caller}'s reference", reference)


def checked(name: str, value: object, kind: type[_T], caller: str) -> _T:
    """An argument, or the default of its class; a ``ParamsError`` if it is something else."""
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise ParamsError(f"{caller}'s {name} must be {kind.__name__}, got {value!r}")
    return value
