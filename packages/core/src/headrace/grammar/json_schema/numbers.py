"""Numbers of schemas as llguidance can take them: it has floats, and 64 bits for whole numbers.

A bound that is neither is moved inwards, to the next number that is: what is written is valid.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from math import nextafter
from typing import Any

MAX_INTEGER = (1 << 63) - 1024
"""The largest float below 2⁶³: whole numbers can be compared with no larger one."""
MAX_NUMBER = 1 << 53
"""The largest bound of other numbers."""
_DIGITS = 15
"""Most digits of a decimal fraction that a float keeps, and most places behind the point."""
Number = int | Decimal


def is_number(value: Any) -> bool:
    """Whether a value of a schema is a number."""
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def as_json(value: Number) -> int | float:
    """A number that a float can hold, for ``json``."""
    return value if isinstance(value, int) else float(value)


def whole(value: Number, *, up: bool) -> int:
    """The next whole number."""
    if isinstance(value, int):
        return value
    return int(value.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))


def integer_bound(value: int, *, up: bool) -> int:
    """The next whole number that is a float, and not beyond what can be compared with."""
    value = max(-MAX_INTEGER, min(MAX_INTEGER, value))
    near = float(value)
    if (near < value) if up else (near > value):
        near = nextafter(near, float("inf") if up else float("-inf"))
    return int(near)


def number_bound(value: Number, *, up: bool) -> Number:
    """The next number of at most fifteen digits, and as many places."""
    value = max(Decimal(-MAX_NUMBER), min(Decimal(MAX_NUMBER), Decimal(value)))
    if value == value.to_integral_value():
        return int(value)
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    value = value.quantize(Decimal(1).scaleb(-_DIGITS), rounding, Context(prec=60))
    value = Context(prec=_DIGITS, rounding=rounding).plus(value)
    return int(value) if value == value.to_integral_value() else value


def next_number(value: int, *, up: bool) -> Number:
    """The next number of at most fifteen digits, and as many places, that is not itself."""
    step = Decimal(1 if up else -1).scaleb(-_DIGITS)
    return number_bound(Context(prec=60).add(Decimal(value), step), up=up)


def is_writable(value: Number) -> bool:
    """Whether a constant is written with the digits that it has."""
    if isinstance(value, int):
        return float(value) == value if abs(value) < MAX_INTEGER else False
    digits = len(value.normalize().as_tuple().digits)
    exponent = value.normalize().as_tuple().exponent
    return digits <= _DIGITS and isinstance(exponent, int) and exponent >= -_DIGITS


def is_divisor(value: Number) -> bool:
    """Whether llguidance divides by just that number: it finds the digits by float arithmetic."""
    found, places = float(value), 0
    while not found.is_integer() and places < 10:
        found *= 10
        places += 1
    if not found.is_integer() or not 0 < found < 1 << 28:
        return False
    return Fraction(int(found), 10**places) == Fraction(value)
