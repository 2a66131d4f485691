"""Constants and numbers of schemas."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from headrace.grammar.json_schema.numbers import (
    MAX_INTEGER,
    MAX_NUMBER,
    as_json,
    integer_bound,
    is_divisor,
    is_number,
    is_writable,
    next_number,
    number_bound,
    whole,
)
from headrace.grammar.json_schema.part import Part
from headrace.grammar.json_schema.strings import NEEDS_ESCAPE

MAX_VALUES = 20_000
"""Most values of all enumerations together."""
_LONG = 10**17

_CONTROLS = frozenset(chr(code) for low, high in NEEDS_ESCAPE for code in range(low, high + 1))


class _Unwritable(Exception):
    """A constant that cannot be written as it is."""


def write_constants(part: Part) -> None:
    """``enum`` and ``const``."""
    for key in ("enum", "const"):
        if key not in part.node:
            continue
        given = part.node[key]
        if key == "enum" and not isinstance(given, list):
            raise part.error("enum", f"must be a list, got {given!r:.60}")
        found = given if key == "enum" else [given]
        part.document.count_values(f"{part.path}/{key}", len(found))
        kept = [value for value in found if type_of(value) & set(part.kinds)]
        written, reason = [], ""
        for value in kept:
            try:
                written.append(_constant(value, part.document.escapes))
            except _Unwritable as error:
                reason = str(error)
        if kept and not written:
            part.unenforced(key, f"a value that cannot be written as it is ({reason})")
            continue
        if not written:
            part.document.never(part.path, "no value is left of the enumeration")
            part.narrow(False)
        elif "enum" in part.out:
            part.narrow({"enum": written})
        else:
            part.out["enum"] = written


def type_of(value: Any) -> set[str]:
    """The types that a value has."""
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int):
        return {"integer", "number"}
    names = {Decimal: "number", str: "string", list: "array", dict: "object"}
    return {names.get(type(value), "null")}


def _constant(value: Any, escapes: bool) -> Any:
    if is_number(value):
        if not is_writable(value):
            raise _Unwritable("a number with too many digits")
        return as_json(value)
    if isinstance(value, str) and not escapes and not _CONTROLS.isdisjoint(value):
        raise _Unwritable("a control character, where names of any kind may be written")
    if isinstance(value, list):
        return [_constant(each, escapes) for each in value]
    if isinstance(value, dict):
        return {name: _constant(each, escapes) for name, each in value.items()}
    return value


def write_numbers(part: Part) -> None:
    """Bounds and ``multipleOf``."""
    low, low_open = _bound(part, "minimum", "exclusiveMinimum", 1)
    high, high_open = _bound(part, "maximum", "exclusiveMaximum", -1)
    if "number" in part.kinds:
        _write_range(part, low, low_open, high, high_open)
    else:
        _write_whole_range(part, low, low_open, high, high_open)
    if "multipleOf" in part.node:
        _write_divisor(part)


def _bound(part: Part, key: str, open_key: str, sign: int) -> tuple[Any, bool]:
    """The stronger of a bound and an exclusive one, and whether it is that."""
    value = part.number(key) if key in part.node else None
    other = part.node.get(open_key, False)
    if isinstance(other, bool):  # as in draft 4
        return value, other
    other = part.number(open_key)
    if value is None or sign * other >= sign * value:
        return other, True
    return value, False


def _write_whole_range(part: Part, low: Any, low_open: bool, high: Any, high_open: bool) -> None:
    first = None if low is None else whole(low, up=True)
    last = None if high is None else whole(high, up=False)
    first = first + 1 if first is not None and low_open and first == low else first
    last = last - 1 if last is not None and high_open and last == high else last
    first = None if _is_far(part, first, "minimum", 1, MAX_INTEGER) else first
    last = None if _is_far(part, last, "maximum", -1, MAX_INTEGER) else last
    first = None if first is None else integer_bound(first, up=True)
    last = None if last is None else integer_bound(last, up=False)
    if first is not None and first > _LONG and last is None:
        last = MAX_INTEGER
    if last is not None and last < -_LONG and first is None:
        first = -MAX_INTEGER
    if first is not None and last is not None and first > last:
        part.document.never(part.path, f"no integer is between {low} and {high}")
    part.out.update({} if first is None else {"minimum": first})
    part.out.update({} if last is None else {"maximum": last})


def _write_range(part: Part, low: Any, low_open: bool, high: Any, high_open: bool) -> None:
    low = None if _is_far(part, low, "minimum", 1, MAX_NUMBER) else low
    high = None if _is_far(part, high, "maximum", -1, MAX_NUMBER) else high
    is_within_one = low is not None and high is not None and int(low) == int(high)
    for value, is_open, up, names in (
        (low, low_open, True, ("minimum", "exclusiveMinimum")),
        (high, high_open, False, ("maximum", "exclusiveMaximum")),
    ):
        if value is None:
            continue
        near = number_bound(value, up=up)
        is_open = is_open and near == value
        if is_open and isinstance(near, int) and is_within_one:
            # llguidance takes the bound itself, if it is whole and the range is that narrow.
            near, is_open = next_number(near, up=up), False
        part.out[names[is_open]] = as_json(near)
    none_between = low is not None and high is not None and low >= high
    if none_between and (low > high or low_open or high_open):
        part.document.never(part.path, f"no number is between {low} and {high}")
        others = [kind for kind in part.kinds if kind not in {"number", "integer"}]
        part.narrow({"type": others} if others else False)


def _is_far(part: Part, value: Any, name: str, sign: int, most: int) -> bool:
    """Whether all that a bound allows is beyond what can be compared."""
    if value is None or sign * value <= most:
        return False
    key = name if name in part.node else f"exclusive{name.capitalize()}"
    part.unenforced(key, f"a bound beyond {most}")
    return True


def _write_divisor(part: Part) -> None:
    value = part.number("multipleOf")
    if value <= 0:
        raise part.error("multipleOf", f"must be more than 0, got {value}")
    divisors = part.document.divisors
    several = divisors - {value}
    if not is_divisor(value):
        part.unenforced("multipleOf", f"multipleOf {value}")
        return
    # Two at once are multiplied in 32 bits.
    if any(_scaled(value) * _scaled(each) >= 1 << 31 for each in several):
        part.unenforced("multipleOf", "multipleOf of several such numbers")
        return
    divisors.add(value)
    part.out["multipleOf"] = as_json(value)


def _scaled(value: Any) -> int:
    exponent = Decimal(value).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return int(abs(Decimal(value)).scaleb(max(10, -exponent) if exponent < 0 else 0))
