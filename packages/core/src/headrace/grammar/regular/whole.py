"""``Regex``: patterns that match all of the output."""

from __future__ import annotations

from headrace.errors import GrammarError
from headrace.grammar.places import check_unicode
from headrace.grammar.regular.dialects import PYTHON
from headrace.grammar.regular.parsing import parse
from headrace.grammar.regular.writing import is_nothing, write
from headrace.grammar.sets import Ranges
from headrace.grammar.sources import HEADER

_NUL: Ranges = ((0, 0),)
"""No part of an output: it would end a text in C."""


def regex_source(pattern: str) -> str:
    """A source for the texts that a pattern in Python's syntax matches from beginning to end.

    Raises:
        GrammarError: With the position of what cannot be written, or if no text matches.
    """
    check_unicode("pattern", pattern)
    tree = parse(pattern, PYTHON)
    if is_nothing(tree, _NUL):
        raise GrammarError("no text that can be written matches the pattern")
    return f"{HEADER}start: /{write(tree, _NUL)}/\n"
