"""JSON numbers within bounds, as grammars.

A bound is a matter of digits: of two numbers with equally many of them, the first that
differs decides. So each number of digits is a case of its own.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from headrace.grammar.builder import either, seq, times
from headrace.grammar.nodes import CharSet, Node

MAX_DIGITS = 16
"""Most digits before the point: what a double holds exactly, about."""
_FINER = 2
"""Digits after the point beyond those of the bounds."""

_LARGEST = Decimal(10**MAX_DIGITS - 1)
DIGIT = CharSet(((0x30, 0x39),))


def integer_between(low: Decimal | None, high: Decimal | None) -> Node | None:
    """Whole numbers from ``low`` to ``high``, both included; None: there is none."""
    return _between(low, high, 0)


def number_between(low: Decimal | None, high: Decimal | None, *, open_: tuple[bool, bool]) -> Node:
    """Decimal numbers between bounds.

    Args:
        low: The lower bound; None: none.
        high: The upper bound; None: none.
        open_: Whether the lower, the upper bound is excluded.
    """
    places = max(_places(low), _places(high)) + _FINER
    step = Decimal(1).scaleb(-places)
    options = []
    for n_places, unit in ((0, Decimal(1)), (places, step)):
        first = None if low is None else low.quantize(unit, ROUND_CEILING)
        last = None if high is None else high.quantize(unit, ROUND_FLOOR)
        if first is not None and open_[0] and first == low:
            first += unit
        if last is not None and open_[1] and last == high:
            last -= unit
        options.append(_between(first, last, n_places))
    return either(*[option for option in options if option is not None])


def clamped(bound: Decimal) -> Decimal:
    """A bound within the numbers that are written."""
    return max(-_LARGEST, min(_LARGEST, bound))


def _places(bound: Decimal | None) -> int:
    exponent = 0 if bound is None else bound.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _between(low: Decimal | None, high: Decimal | None, places: int) -> Node | None:
    scale = 10**places
    first = int((-_LARGEST if low is None else low) * scale)
    last = int((_LARGEST if high is None else high) * scale)
    options = []
    if first < 0:
        smaller = _digits(max(1, -last), -first, places)
        if smaller is not None:
            options.append(seq("-", smaller))
    larger = _digits(max(0, first), last, places)
    if larger is not None:
        options.append(larger)
    return either(*options) if options else None


def _digits(low: int, high: int, places: int) -> Node | None:
    """Numbers in units of the last place, written with a point before the last ``places``."""
    options = []
    shortest = places + 1
    while low <= high:
        length = max(len(str(low)), shortest)
        top = min(high, 10**length - 1)
        options.append(_same_length(str(low).zfill(length), str(top).zfill(length), places))
        low = top + 1
    return either(*options) if options else None


def _same_length(low: str, high: str, places: int) -> Node:
    """Digit strings from one to another of the same length, with the point in its place."""
    if not low:
        return seq()
    point = ["."] if places and len(low) == places else []
    rest_low, rest_high = low[1:], high[1:]
    if set(low) == {"0"} and set(high) == {"9"} and len(low) <= (places or len(low)):
        return seq(*point, times(DIGIT, len(low), len(low)))
    if low[0] == high[0]:
        return seq(*point, low[0], _same_length(rest_low, rest_high, places))
    options = []
    first, last = int(low[0]), int(high[0])
    zeros, nines = "0" * len(rest_low), "9" * len(rest_low)
    if rest_low != zeros:
        options.append(seq(low[0], _same_length(rest_low, nines, places)))
        first += 1
    end = None
    if rest_high != nines:
        end = seq(high[0], _same_length(zeros, rest_high, places))
        last -= 1
    if first <= last:
        options.append(seq(_digit(first, last), _same_length(zeros, nines, places)))
    if end is not None:
        options.append(end)
    return seq(*point, either(*options))


def _digit(first: int, last: int) -> Node:
    return CharSet(((ord("0") + first, ord("0") + last),))
