"""Validators for the parameters of loading that are mappings or sequences."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import attrs

from headrace.errors import ParamsError
from headrace.params.fields import finite, refuse

MAX_BYTES = 127
"""Longest key or text of an override, in UTF-8: what llama.cpp's fixed buffers hold."""

_INTEGERS = range(-(2**63), 2**63)


def as_pairs(value: Any) -> Any:
    """A mapping as a tuple of pairs, which can be hashed; anything else is for the validator."""
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return tuple(value.items())
    return tuple(value) if isinstance(value, list) else value


def overrides(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """Keys with a value of one of the four types."""
    for key, each in _pairs(instance, field, value, "a mapping from metadata keys to values"):
        _check_text(instance, field, "the key", key)
        name = f"{_field(instance, field)}[{key!r}]"
        if isinstance(each, str):
            _check_text(instance, field, f"the value of {key!r}", each, empty=True)
        elif isinstance(each, bool):
            continue
        elif isinstance(each, numbers.Integral):
            if each not in _INTEGERS:
                raise ParamsError(f"{name} must be an integer of 64 bits, got {each!r}")
        elif isinstance(each, numbers.Real):
            if not finite(each):
                raise ParamsError(f"{name} must be a finite number, got {each!r}")
        else:
            raise ParamsError(f"{name} must be an int, float, bool or str, got {each!r}")


def patterns(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """Patterns of tensor names with a device name each."""
    allowed = "a mapping from patterns of tensor names to device names"
    for pattern, device in _pairs(instance, field, value, allowed):
        _check_text(instance, field, "the pattern", pattern)
        _check_text(instance, field, f"the device of {pattern!r}", device)


def proportions(instance: Any, field: attrs.Attribute[Any], value: Any) -> None:
    """Finite shares, at least one of them positive."""
    if value is None:
        return
    shares = value if isinstance(value, tuple) else ()
    if not all(map(_is_share, shares)) or not any(shares):
        refuse(
            instance,
            field,
            value,
            f"None or a sequence of finite numbers ≥ 0 and ≤ {_MAX_SHARE:g}, not all of them 0",
        )


_MAX_SHARE = 1e6


def _is_share(value: Any) -> bool:
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return bool(real and finite(value) and 0 <= value <= _MAX_SHARE)


def _field(instance: Any, field: attrs.Attribute[Any]) -> str:
    return f"{type(instance).__name__}.{field.name}"


def _pairs(
    instance: Any, field: attrs.Attribute[Any], value: Any, allowed: str
) -> tuple[tuple[Any, Any], ...]:
    sound = isinstance(value, tuple) and all(
        isinstance(pair, tuple) and len(pair) == 2 for pair in value
    )
    if not sound:
        refuse(instance, field, value, allowed)
    pairs: tuple[tuple[Any, Any], ...] = value
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ParamsError(f"{_field(instance, field)} has the key {key!r} more than once")
    return pairs


def _check_text(
    instance: Any, field: attrs.Attribute[Any], what: str, value: Any, *, empty: bool = False
) -> None:
    try:
        n_bytes = len(value.encode()) if isinstance(value, str) else -1
    except UnicodeEncodeError:
        n_bytes = -1
    if n_bytes < 0 or n_bytes > MAX_BYTES or (n_bytes == 0 and not empty) or "\0" in value:
        least = "0" if empty else "1"
        raise ParamsError(
            f"{_field(instance, field)}: {what} must be a text of {least} to {MAX_BYTES} bytes "
            f"without NUL, got {value!r}"
        )
