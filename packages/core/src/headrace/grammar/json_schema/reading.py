"""JSON schemas as text: read without losing a digit, with every mistake named by its place."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from headrace.errors import GrammarError
from headrace.grammar.places import check_unicode

MAX_CHARACTERS = 1 << 20
"""Longest schema, as JSON text."""
MAX_NESTING = 500
"""Most lists and objects within each other."""
MAX_DIGITS = 308
"""Most characters of a number, and largest power of ten."""


def refusal(path: str, message: str, hint: str | None = None) -> GrammarError:
    """An error that names a place in a schema."""
    return GrammarError(f"schema, {path}: {message}", path=path, hint=hint)


def below(path: str, key: str) -> str:
    """The path of what stands under a key."""
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"


class _Doubled(dict):  # type: ignore[type-arg]
    """An object in which a key stands twice."""

    name: str


class _Unusable:
    """A number that is none, or too long."""

    def __init__(self, text: str) -> None:
        self.text = text


def read_schema(text: str) -> Any:
    """The value of a JSON text: whole numbers as ``int``, others as ``Decimal``.

    Raises:
        GrammarError: If it is no JSON, names a key twice in an object, has a number that is no
            finite one or half a surrogate pair, or is too large.
    """
    check_unicode("schema", text)
    if len(text) > MAX_CHARACTERS:
        raise GrammarError(
            f"the schema has {len(text)} characters; at most {MAX_CHARACTERS} are allowed"
        )
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_Unusable,
        )
    except json.JSONDecodeError as error:
        raise GrammarError(
            f"the schema is no JSON: {error}", line=error.lineno, column=error.colno
        ) from None
    except RecursionError:
        raise GrammarError("the schema is nested too deeply", path="#") from None
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    doubled = _Doubled(found)
    doubled.name = next(name for name in names if names.count(name) > 1)
    return doubled


def _number(text: str) -> Any:
    try:
        number = Decimal(text) if len(text) <= MAX_DIGITS else None
        if number is None or not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS:
            return _Unusable(text)
    except InvalidOperation:
        return _Unusable(text)
    return int(number) if number == number.to_integral_value() else number


def _check(value: Any) -> None:
    waiting: list[tuple[Any, str, int]] = [(value, "#", 0)]
    while waiting:
        each, path, depth = waiting.pop()
        if depth > MAX_NESTING:
            raise refusal("#", f"more than {MAX_NESTING} lists and objects within each other")
        if isinstance(each, _Unusable):
            raise refusal(path, f"must be a number of usual size, got {each.text:.40}")
        if isinstance(each, _Doubled):
            raise refusal(path, f"the key {each.name!r:.60} stands there twice")
        if isinstance(each, str):
            _check_text(each, path)
        elif isinstance(each, dict):
            for key, part in each.items():
                _check_text(key, path)
                waiting.append((part, below(path, key), depth + 1))
        elif isinstance(each, list):
            waiting += [(part, f"{path}/{i}", depth + 1) for i, part in enumerate(each)]


def _check_text(text: str, path: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise refusal(path, "a lone surrogate, which is no character")
