"""Charts as SVG: lines or bars over a few named places, with a legend; enough for figures of speed.

No package is needed for it, nor one to show it. The text stays text, so that it can be searched
and read aloud; what a chart says stands in its title and description too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape

import attrs

_WIDTH, _HEIGHT = 800, 400
_LEFT, _TOP, _BOTTOM = 64, 56, 56
_LEGEND = 250
_PLOT_WIDTH = _WIDTH - _LEFT - _LEGEND
_PLOT_HEIGHT = _HEIGHT - _TOP - _BOTTOM
_COLOURS = ("#0b6e99", "#d1495b", "#edae49", "#3d8361", "#7b4b94", "#6c757d", "#b56727")
"""Told apart by people who see no red or no green, and in print."""
_DASHES = ("", "7 3", "2 3", "10 3 2 3", "1 4", "12 4", "4 2")
_TICKS = 6
_LONGEST_NAME = 28


def _as_values(values: Iterable[float | None]) -> tuple[float | None, ...]:
    return tuple(values)


@attrs.frozen
class Series:
    """What belongs together: one line, or the bars of one colour."""

    name: str
    """What the legend says."""

    values: tuple[float | None, ...] = attrs.field(converter=_as_values)
    """One for each place, None where nothing is known."""


def lines(
    title: str, places: Sequence[str], series: Sequence[Series], *,
    x: str, y: str, logarithmic: bool = False,
) -> str:  # fmt: skip
    """A chart with a line for each series.

    Args:
        title: What it shows.
        places: Names along the horizontal axis, evenly apart.
        series: The lines.
        x: What the places are.
        y: What the values are, with their unit.
        logarithmic: Whether equal ratios are equal heights; all values must be above zero.

    Returns:
        The SVG document.
    """
    scale = _Scale.over(series, logarithmic=logarithmic)
    drawn = [
        element
        for number, each in enumerate(series)
        for element in _line(each, scale, len(places), number)
    ]
    keys = [_line_key(number) for number in range(len(series))]
    return _document(title, places, series, scale, drawn, keys, x=x, y=y)


def bars(title: str, places: Sequence[str], series: Sequence[Series], *, x: str, y: str) -> str:
    """A chart with a group of bars at each place, one for each series.

    Args:
        title: What it shows.
        places: Names along the horizontal axis.
        series: The colours.
        x: What the places are.
        y: What the values are, with their unit.

    Returns:
        The SVG document.
    """
    scale = _Scale.over(series, logarithmic=False)
    drawn = [
        element
        for number, each in enumerate(series)
        for element in _bars(each, scale, len(places), number, len(series))
    ]
    keys = [
        f'<rect x="0" y="-9" width="18" height="10" fill="{_colour(number)}"/>'
        for number in range(len(series))
    ]
    return _document(title, places, series, scale, drawn, keys, x=x, y=y)


@attrs.frozen
class _Scale:
    """From values to heights."""

    low: float
    high: float
    logarithmic: bool
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, series: Sequence[Series], *, logarithmic: bool) -> _Scale:
        """One on which all values have room; from zero unless it is logarithmic."""
        values = [value for each in series for value in each.values if value is not None]
        if logarithmic and values and min(values) > 0:
            ticks = _decades(min(values), max(values))
            return cls(ticks[0], ticks[-1], True, ticks)
        high = max([value for value in values if value > 0], default=1.0)
        step = _round_up(high / _TICKS)
        count = math.ceil(high / step - 1e-9)
        ticks = tuple(step * number for number in range(count + 1))
        return cls(0.0, ticks[-1], False, ticks)

    def place(self, value: float) -> float:
        """The vertical coordinate of a value."""
        if self.logarithmic:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = value / self.high
        return _TOP + _PLOT_HEIGHT * (1 - min(max(part, 0.0), 1.0))


def _round_up(step: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= step * (1 - 1e-9))


def _decades(low: float, high: float) -> tuple[float, ...]:
    """1, 2 and 5 times powers of ten, from below the lowest to above the highest."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = [each * 10.0**power for power in range(first, last + 1) for each in (1, 2, 5)]
    below = [step for step in steps if step <= low]
    above = [step for step in steps if step >= high]
    between = [step for step in steps if below[-1] < step < above[0]]
    highest = above[0] if above[0] > below[-1] else above[1]
    return (below[-1], *between, highest)


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _across(place: int, places: int) -> float:
    """The horizontal coordinate of the middle of a place."""
    return _LEFT + _PLOT_WIDTH * (place + 0.5) / places


def _line(series: Series, scale: _Scale, places: int, number: int) -> Iterator[str]:
    points = [
        (_across(place, places), scale.place(value))
        for place, value in enumerate(series.values)
        if value is not None
    ]
    path = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
    yield f'<polyline points="{path}" {_stroke(number)}/>'
    for across, down in points:
        yield f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3.5" fill="{_colour(number)}"/>'


def _stroke(number: int) -> str:
    dash = _DASHES[number % len(_DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="none" stroke="{_colour(number)}" stroke-width="2.5"{dashed}'


def _line_key(number: int) -> str:
    return f'<line x1="0" y1="-4" x2="24" y2="-4" {_stroke(number)}/>'


def _bars(series: Series, scale: _Scale, places: int, number: int, groups: int) -> Iterator[str]:
    width = 0.8 * _PLOT_WIDTH / places / groups
    foot = _TOP + _PLOT_HEIGHT
    for place, value in enumerate(series.values):
        if value is None:
            continue
        left = _across(place, places) + (number - groups / 2) * width
        top = scale.place(value)
        yield (
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{width * 0.92:.1f}" '
            f'height="{foot - top:.1f}" fill="{_colour(number)}"><title>'
            f"{escape(series.name)}: {value:g}</title></rect>"
        )


def _document(
    title: str, places: Sequence[str], series: Sequence[Series], scale: _Scale,
    drawn: Sequence[str], keys: Sequence[str], *, x: str, y: str,
) -> str:  # fmt: skip
    height = max(_HEIGHT, _TOP + 24 * len(series) + 16)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(_told(places, series, y))}</desc>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="26" font-size="16" font-weight="600" fill="#1b1f24">'
        f"{escape(title)}</text>",
        *_axes(places, scale, x=x, y=y),
        *drawn,
        *_legend(series, keys),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _told(places: Sequence[str], series: Sequence[Series], y: str) -> str:
    """The values in words."""
    told = (
        f"{each.name}: "
        + ", ".join(
            f"{place} {value:.4g}"
            for place, value in zip(places, each.values, strict=True)
            if value is not None
        )
        for each in series
    )
    return f"{y}. " + "; ".join(told)


def _axes(places: Sequence[str], scale: _Scale, *, x: str, y: str) -> Iterator[str]:
    right, foot = _LEFT + _PLOT_WIDTH, _TOP + _PLOT_HEIGHT
    for tick in scale.ticks:
        down = scale.place(tick)
        yield (
            f'<line x1="{_LEFT}" y1="{down:.1f}" x2="{right}" y2="{down:.1f}" '
            'stroke="#d8dee4" stroke-width="1"/>'
        )
        yield _text(_LEFT - 8, down + 4, f"{tick:g}", anchor="end")
    yield f'<line x1="{_LEFT}" y1="{foot}" x2="{right}" y2="{foot}" stroke="#57606a"/>'
    for place, name in enumerate(places):
        yield _text(_across(place, len(places)), foot + 20, name, anchor="middle")
    yield _text(_LEFT + _PLOT_WIDTH / 2, foot + 42, x, anchor="middle")
    yield _text(_LEFT, 46, y)


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#424a53">{escape(text)}</text>'
    )


def _legend(series: Sequence[Series], keys: Sequence[str]) -> Iterator[str]:
    left = _LEFT + _PLOT_WIDTH + 20
    for number, (each, key) in enumerate(zip(series, keys, strict=True)):
        down = _TOP + 14 + 24 * number
        name = each.name
        if len(name) > _LONGEST_NAME:
            name = name[: _LONGEST_NAME - 1] + "…"
        yield f'<g transform="translate({left},{down})">{key}{_text(32, 0, name)}</g>'
