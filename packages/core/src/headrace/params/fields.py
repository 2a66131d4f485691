"""What the classes of settings are made of: validators, and names that are checked."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import attrs

from headrace.common.quotes import shown
from headrace.errors import ParamsError

_T = TypeVar("_T")
Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def check_names(owner: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    """Raise ``ParamsError`` for the first name that ``owner`` does not have.

    Raises:
        ParamsError: With the closest allowed name as "did you mean".
    """
    known = tuple(allowed)
    for name in given:
        if name not in known:
            import difflib  # for whoever made a mistake

            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."
            raise ParamsError(f"{owner} has no parameter {name!r}", hint=hint)


def strict_names(cls: type[_T]) -> type[_T]:
    """Turn the ``TypeError`` for an unknown keyword into a ``ParamsError``."""
    fields = attrs.fields(cls)  # type: ignore[arg-type]
    names = tuple(field.name for field in fields if field.eq)
    noted = tuple(field.name for field in fields if not field.eq)  # by the class itself
    generated = cls.__init__

    def __init__(self: _T, **values: Any) -> None:
        check_names(cls.__name__, (name for name in values if name not in noted), names)
        generated(self, **values)

    __init__.__wrapped__ = generated  # type: ignore[attr-defined]  # keeps the signature in help()
    cls.__init__ = __init__  # type: ignore[assignment]
    return cls


def refuse(instance: Any, field: attrs.Attribute[Any], value: Any, allowed: str) -> None:
    """Raise ``ParamsError`` for a field, saying what it got and what is allowed."""
    raise ParamsError(
        f"{type(instance).__name__}.{field.name} must be {allowed}, got {_quoted(value)}",
    )


def _quoted(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # nested too deeply, or of a class that cannot say
        return shown(value)


def integer(low: int, high: int | None = None, *, optional: bool = False) -> Validator:
    """Validator for whole numbers in ``low … high``; ``bool`` is not one."""
    allowed = f"a whole number ≥ {low}" + (f" and ≤ {high}" if high is not None else "")
    if optional:
        allowed += ", or None"

    def validate(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value is None and optional:
            return
        if not is_whole(value) or value < low or (high is not None and value > high):
            refuse(instance, field, value, allowed)

    return validate


def is_whole(value: Any) -> bool:
    """Whether it is a whole number; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def finite(value: Any) -> bool:
    """Whether a real number is finite, and not too large for a float either."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def number(
    low: float,
    high: float = math.inf,
    *,
    above: bool = False,
    note: str = "",
    optional: bool = False,
) -> Validator:
    """Validator for finite numbers in ``low … high`` (``low`` itself out if ``above``)."""
    allowed = f"a finite number {'>' if above else '≥'} {low:g}"
    if high != math.inf:
        allowed += f" and ≤ {high:g}"
    allowed += note + (", or None" if optional else "")

    def validate(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value is None and optional:
            return
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not real or not finite(value) or value < low or (above and value == low) or value > high:
            refuse(instance, field, value, allowed)

    return validate


def choice(*values: str, optional: bool = False) -> Validator:
    """Validator for one of a few words."""
    allowed = "one of " + ", ".join(map(repr, values)) + (", or None" if optional else "")

    def validate(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value is None and optional:
            return
        if not isinstance(value, str) or value not in values:
            refuse(instance, field, value, allowed)

    return validate


def flag(*, optional: bool = False) -> Validator:
    """Validator for ``True`` and ``False`` (and ``None`` if optional)."""

    def validate(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if not (isinstance(value, bool) or (optional and value is None)):
            refuse(instance, field, value, "True or False" + (", or None" if optional else ""))

    return validate
