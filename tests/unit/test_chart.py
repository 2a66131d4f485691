"""Charts as SVG: what is drawn where, and that any text and any value is fit for it."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from headrace.common import chart
from headrace.common.chart import Series

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text):
    """The document."""
    return ElementTree.fromstring(text)


def lines(series, places=("1", "2", "4"), **more):
    """A line chart, parsed."""
    return parsed(chart.lines("Title", places, series, x="others", y="tokens", **more))


def heights(document):
    """Vertical coordinates of the points of each line."""
    return [
        [float(point.split(",")[1]) for point in line.get("points").split()]
        for line in document.iter(f"{SVG}polyline")
    ]


def texts(document):
    """What is written on it."""
    return [each.text for each in document.iter(f"{SVG}text")]


def test_a_larger_value_stands_higher_and_zero_on_the_axis():
    """Vertical coordinates grow downwards."""
    ((half, full, zero),) = heights(lines([Series("a", (5, 10, 0))]))

    assert full < half < zero
    assert half - full == pytest.approx(zero - half, abs=0.1)


def test_equal_ratios_are_equal_heights_on_a_logarithmic_scale():
    """As many times less is as much lower."""
    ((high, middle, low),) = heights(lines([Series("a", (64, 8, 1))], logarithmic=True))

    assert middle - high == pytest.approx(low - middle, abs=0.1)


@pytest.mark.parametrize(
    "values", [(1e-3, 1e6, 5), (2, 2, 2), (1, 1, 1), (5, 5, 5), (999, 1000, 1001)]
)
def test_every_positive_value_is_within_the_ticks_of_a_logarithmic_scale(values):
    """The lowest and the highest, equal ones and powers of ten among them."""
    document = lines([Series("a", values)], logarithmic=True)
    ticks = [float(line.get("y1")) for line in document.iter(f"{SVG}line") if line.get("x1") != "0"]

    assert all(min(ticks) <= height <= max(ticks) for height in heights(document)[0])
    assert len(set(ticks)) >= 2


@pytest.mark.parametrize("values", [(0, 0, 0), (None, None, None), (0, 3, 7)])
def test_what_a_logarithmic_scale_cannot_show_is_drawn_on_a_linear_one(values):
    """Nothing has no logarithm."""
    document = lines([Series("a", values)], logarithmic=True)

    assert len(heights(document)[0]) == sum(value is not None for value in values)


def test_a_missing_value_is_left_out():
    """The line goes on at the next."""
    assert len(heights(lines([Series("a", (1, None, 3))]))[0]) == 2


def test_names_are_written_as_they_are():
    """Characters that mean something to XML, too."""
    document = lines([Series("a < b & c", (1, 2, 3))], places=("<1>", "2", "4"))

    assert "a < b & c" in texts(document)
    assert "<1>" in texts(document)
    svg = chart.bars("1 < 2 & 3", ["a"], [Series("b", (1,))], x="x", y="y")
    assert "1 < 2 & 3" in texts(parsed(svg))


def test_the_values_are_told_in_words():
    """For whoever cannot see it."""
    told = lines([Series("one", (1, None, 3)), Series("two", (4, 5, 6))]).find(f"{SVG}desc").text

    assert told == "tokens. one: 1 1, 4 3; two: 1 4, 2 5, 4 6"


def test_bars_stand_beside_each_other_in_their_group():
    """None overlaps the next, and each begins at the axis."""
    text = chart.bars(
        "Title", ["1", "2"], [Series("a", (1, 4)), Series("b", (2, None))], x="x", y="y"
    )
    bars = [
        each for each in parsed(text).iter(f"{SVG}rect") if each.find(f"{SVG}title") is not None
    ]
    spans = sorted(
        (float(each.get("x")), float(each.get("x")) + float(each.get("width"))) for each in bars
    )

    assert [each.find(f"{SVG}title").text for each in bars] == ["a: 1", "a: 4", "b: 2"]
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
    feet = {round(float(each.get("y")) + float(each.get("height")), 1) for each in bars}
    assert len(feet) == 1


def test_each_series_has_a_colour_and_a_dash_of_its_own():
    """They are told apart without colours, too."""
    text = chart.lines("t", ["1"], [Series(str(n), (n,)) for n in range(1, 7)], x="x", y="y")
    strokes = re.findall(
        r'<polyline[^>]*stroke="(#\w+)"[^>]*?(?:stroke-dasharray="([^"]*)")?/>', text
    )

    assert len({colour for colour, _ in strokes}) == 6
    assert len({dash for _, dash in strokes}) == 6
