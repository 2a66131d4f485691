"""In which respects the syntax of patterns differs between languages."""

from __future__ import annotations

import re

import attrs

from headrace.grammar.nodes import LAST_CHARACTER
from headrace.grammar.sets import DIGITS, SPACES, WORD, Ranges, union, without

Pair = tuple[Ranges, Ranges]
"""What is surely in a class, and what may be. They differ where languages do: what is written is
valid in all of them."""

_ECMA_SPACES: Ranges = union(
    [*SPACES, (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)]
    + [(code, code) for code in (0x202F, 0x205F, 0x3000, 0xFEFF)]
)
"""White space and line terminators, ECMA-262, 12.2 and 12.3."""
_OTHER_SPACES: Ranges = ((0x1C, 0x1F), (0x85, 0x85), (0xFEFF, 0xFEFF))
"""What is a space to ECMA-262 and not to Python, or the other way round."""


def _with_opposites(classes: dict[str, Pair]) -> dict[str, Pair]:
    opposites = {
        name.upper(): (without(large), without(small)) for name, (small, large) in classes.items()
    }
    return {**classes, **opposites}


@attrs.frozen
class Dialect:
    """A syntax of patterns."""

    classes: dict[str, Pair]
    """The sets behind ``\\d`` and its like."""
    dot: Ranges
    """What ``.`` matches."""
    opening: re.Pattern[str]
    """How a group begins."""
    others: dict[str, str]
    """What may follow a parenthesis and cannot be written, by how it begins."""
    controls: dict[str, str]
    """Characters by the letter behind a backslash."""
    searched: bool
    """Whether a pattern is looked for in a text, and says itself where the text begins and ends;
    else it matches all of the text, and has a beginning and an end for decoration alone."""

    def widened(self) -> Dialect:
        """The same for what must not match: all that any language takes into a class is in it."""
        classes = {name: (large, small) for name, (small, large) in self.classes.items()}
        return attrs.evolve(self, classes=classes, dot=without(((0x0A, 0x0A),)))


_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}

PYTHON = Dialect(
    classes=_with_opposites(
        {"d": (DIGITS, DIGITS), "w": (WORD, WORD), "s": (SPACES, SPACES)},
    ),
    dot=without(((0x0A, 0x0A),)),
    opening=re.compile(r"\((?:\?:|\?P<[^\W\d]\w*>)?"),
    others={
        "?=": "lookahead",
        "?!": "lookahead",
        "?<": "lookbehind",
        "?P=": "a backreference",
        "?P>": "a call of a group",
        "?(": "a condition",
        "?>": "an atomic group",
        "?#": "a comment",
    },
    controls={**_CONTROLS, "a": "\a"},
    searched=False,
)
"""Python's, with ``re.ASCII``."""

ECMA = Dialect(
    classes=_with_opposites(
        {
            "d": (DIGITS, DIGITS),
            "w": (WORD, WORD),
            "s": (
                without(union((*without(_ECMA_SPACES), *_OTHER_SPACES))),
                union((*_ECMA_SPACES, *_OTHER_SPACES)),
            ),
        },
    ),
    dot=without(((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))),
    opening=re.compile(r"\((?:\?:|\?<[^\W\d]\w*>)?"),
    others={"?<=": "lookbehind", "?<!": "lookbehind"},
    controls={**_CONTROLS, "0": "\0"},
    searched=True,
)
"""ECMA-262's, which JSON Schema refers to."""

ANYTHING: Ranges = ((0, LAST_CHARACTER),)
"""All characters."""
