"""Tokens in order, and how far two rows of them agree."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.line import Line, common_prefix

TOKENS = st.lists(st.integers(0, 1), max_size=40)


@given(TOKENS, TOKENS, TOKENS)
def test_how_far_two_lines_agree(common, left, right):
    """As a search finds it that takes one element after the other."""
    left, right = common + left, common + right
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))
    assert common_prefix(left, right) == len(list(alike))


def test_a_line_knows_what_it_has_lost():
    """The count belongs to the object; a copy of the tokens has none."""
    line = Line([3, 4], dropped=2)
    assert (list(line), line.dropped, Line(line).dropped) == ([3, 4], 2, 0)
