"""Patterns to trees."""

from __future__ import annotations

import re
import string

from headrace.errors import GrammarError
from headrace.grammar.nodes import LAST_CHARACTER
from headrace.grammar.places import error_at
from headrace.grammar.regular.dialects import ANYTHING, Dialect, Pair
from headrace.grammar.regular.tree import (
    EMPTY,
    Ahead,
    Chars,
    Edge,
    Options,
    Repeated,
    Sequence,
    Tree,
)
from headrace.grammar.sets import Ranges, union, without

MAX_PATTERN = 20_000
"""Longest pattern."""
MAX_NESTING = 100
"""Most groups within each other."""
MAX_REPEATS = 10_000
"""Largest number of a repetition, also of repetitions within each other together."""

_HEX = {"x": 2, "u": 4, "U": 8}
_COUNT = re.compile(r"\{([0-9]*)(?:(,)([0-9]*))?\}")
_PROPERTY = re.compile(r"\\[pP]\{(\^?)([A-Za-z_]+(?:=[A-Za-z_]+)?)\}")


def parse(pattern: str, dialect: Dialect) -> Tree:
    """What a pattern is made of.

    Raises:
        GrammarError: With the position of what cannot be written as a regular expression proper.
    """
    if len(pattern) > MAX_PATTERN:
        raise GrammarError(
            f"the pattern has {len(pattern)} characters; at most {MAX_PATTERN} are allowed"
        )
    return _Parser(pattern, dialect).whole()


class _Parser:
    def __init__(self, pattern: str, dialect: Dialect) -> None:
        self._pattern = pattern
        self._dialect = dialect
        self._at = 0
        self._depth = 0

    def whole(self) -> Tree:
        tree = self._options()
        if self._at < len(self._pattern):
            raise self._error("this parenthesis closes nothing")
        return tree

    def _error(self, message: str, at: int | None = None, hint: str | None = None) -> GrammarError:
        place = self._at if at is None else at
        return error_at("pattern", self._pattern, place, message, hint)

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _options(self) -> Tree:
        options = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Options(tuple(options))

    def _sequence(self) -> Tree:
        items: list[Tree] = []
        self._skip_anchors(r"\A", "^")
        while self._peek() and self._peek() not in "|)":
            if self._skip_anchors(r"\Z", "$"):
                if self._peek() and self._peek() not in "|)":
                    raise self._error("nothing can follow the end of the text")
                break
            atom = self._atom()
            items.append(atom if isinstance(atom, (Edge, Ahead)) else self._quantified(atom))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _skip_anchors(self, *anchors: str) -> bool:
        """Skip what says that the text begins or ends here, where it does so anyway."""
        before = self._at
        for anchor in anchors:
            while not (self._dialect.searched or self._depth) and self._pattern.startswith(
                anchor, self._at
            ):
                self._at += len(anchor)
        return self._at > before

    def _atom(self) -> Tree:
        at, first = self._at, self._peek()
        if first == "(":
            return self._group()
        if first == "[":
            return self._set()
        if first == "\\":
            return self._escaped()
        if first in "*+?" or (first == "{" and _counts(self._pattern, at)):
            raise self._error("there is nothing to repeat")
        if first in "^$" and not self._dialect.searched:
            raise self._error(f"{first!r} is possible only at the ends of the pattern")
        self._at += 1
        if first in "^$":
            return Edge(first == "$", at)
        return Chars(self._dialect.dot if first == "." else ((ord(first), ord(first)),))

    def _group(self) -> Tree:
        opened = self._at
        for sign, name in self._dialect.others.items():
            named = sign == "?<" and self._pattern[opened + 3 : opened + 4] not in {"=", "!"}
            if self._pattern.startswith("(" + sign, opened) and not named:
                raise self._error(f"{name} cannot be part of a grammar", opened)
        is_ahead = self._dialect.searched and self._pattern.startswith(("(?=", "(?!"), opened)
        match = self._dialect.opening.match(self._pattern, opened)
        assert match is not None
        if self._pattern.startswith("?", match.end()) and not is_ahead:
            raise self._error("flags and other extensions cannot be part of a grammar", opened)
        if self._depth == MAX_NESTING:
            raise self._error(f"more than {MAX_NESTING} groups within each other", opened)
        is_negative = is_ahead and self._pattern[opened + 2] == "!"
        dialect = self._dialect
        if is_negative:
            self._dialect = dialect.widened()
        self._at = opened + 3 if is_ahead else match.end()
        self._depth += 1
        tree = self._options()
        self._depth -= 1
        self._dialect = dialect
        if self._peek() != ")":
            raise self._error("this parenthesis is not closed", opened)
        self._at += 1
        return Ahead(tree, opened, is_negative) if is_ahead else tree

    def _quantified(self, tree: Tree) -> Tree:
        at = self._at
        times = self._times()
        if times is None:
            return tree
        if self._peek() == "?":
            self._at += 1  # lazy or greedy: the same texts match
        elif self._peek() == "+":
            raise self._error("possessive repetitions cannot be part of a grammar", at)
        if self._peek() in {"*", "+"} or (self._peek() and _counts(self._pattern, self._at)):
            raise self._error("a repetition of a repetition needs parentheses")
        low, high = times
        if high is not None and high < low:
            raise self._error(f"a repetition from {low} to {high} times", at)
        if max(low, high or 0) * _repeats(tree) > MAX_REPEATS:
            raise self._error(f"at most {MAX_REPEATS} repetitions are possible", at)
        return EMPTY if high == 0 else Repeated(tree, low, high)

    def _times(self) -> tuple[int, int | None] | None:
        sign = self._peek()
        if sign and sign in "*+?":
            self._at += 1
            return int(sign == "+"), 1 if sign == "?" else None
        match = _counts(self._pattern, self._at)
        if match is None:
            return None
        self._at = match.end()
        low, comma, high = match.groups()
        numbers = [int(number[:9] or "0") for number in (low, high or "")]
        if not comma:
            return numbers[0], numbers[0]
        return numbers[0], numbers[1] if high else None

    # -- characters --------------------------------------------------------

    def _escaped(self) -> Tree:
        name = self._pattern[self._at + 1 : self._at + 2]
        if name in self._dialect.classes:
            self._at += 2
            return Chars(self._dialect.classes[name][0])
        if name in "bB" and name:
            raise self._error("word boundaries cannot be part of a grammar")
        if name in {"A", "Z"} and not self._dialect.searched:
            raise self._error(f"\\{name} is possible only at the ends of the pattern")
        if (name and name in "123456789") or (name == "k" and self._dialect.searched):
            raise self._error("backreferences cannot be part of a grammar")
        if name in {"p", "P"} and self._dialect.searched:
            return Chars((), (self._property(),))
        code = self._escaped_character()
        return Chars(((code, code),))

    def _property(self) -> str:
        match = _PROPERTY.match(self._pattern, self._at)
        if match is None:
            raise self._error("a property is written as in \\p{L} or \\p{Script=Greek}")
        self._at = match.end()
        return match.group()

    def _escaped_character(self) -> int:
        at = self._at
        name = self._pattern[at + 1 : at + 2]
        if not name:
            raise self._error("a backslash at the end")
        self._at += 2
        digit = self._peek().isdecimal()
        if name in self._dialect.controls and not (name == "0" and digit):
            return ord(self._dialect.controls[name])
        if self._dialect.searched and name == "c" and self._peek() in string.ascii_letters:
            self._at += 1
            return ord(self._pattern[self._at - 1]) % 32
        if name in _HEX and not (name == "U" and self._dialect.searched):
            return self._hexadecimal(name, at)
        if name in string.ascii_letters + string.digits:
            hint = "In a schema, ^ and $ are the ends of the text." if name in "AZz" else None
            raise self._error(f"\\{name} cannot be part of a grammar", at, hint)
        return ord(name)

    def _hexadecimal(self, name: str, at: int) -> int:
        if self._dialect.searched and name == "u" and self._peek() == "{":
            end = self._pattern.find("}", self._at)
            digits = self._pattern[self._at + 1 : max(end, 0)]
            self._at = end + 1
            good = 0 < len(digits) < 9
        else:
            digits = self._pattern[at + 2 : at + 2 + _HEX[name]]
            self._at += len(digits)
            good = len(digits) == _HEX[name]
        if not good or set(digits) - set(string.hexdigits):
            raise self._error(f"\\{name} needs {_HEX[name]} hexadecimal digits", at)
        code = int(digits, 16)
        if code > LAST_CHARACTER:
            raise self._error(f"there is no character U+{code:X}", at)
        if 0xD800 <= code <= 0xDBFF and self._pattern.startswith("\\u", self._at):
            low = self._pattern[self._at + 2 : self._at + 6]
            if len(low) == 4 and low[:1] in "dD" and low[1:2] in "cdefCDEF":
                self._at += 6
                return 0x10000 + ((code - 0xD800) << 10) + (int(low, 16) - 0xDC00)
        return code

    def _set(self) -> Tree:
        opened = self._at
        self._at += 1
        negated = self._peek() == "^"
        self._at += negated
        members: list[Pair] = []
        properties: list[str] = []
        first = not self._dialect.searched
        while first or self._peek() != "]":
            first = False
            if self._dialect.searched and self._pattern[self._at : self._at + 2] in {r"\p", r"\P"}:
                properties.append(self._property())
                continue
            members.append(self._range(opened))
        self._at += 1
        ranges = union(each for member in members for each in member[negated])
        if properties:
            return Chars(ranges, tuple(properties), negated)
        return Chars(without(ranges) if negated else ranges)

    def _range(self, opened: int) -> Pair:
        at = self._at
        member = self._member(opened)
        if self._peek() != "-" or self._pattern[self._at + 1 : self._at + 2] in {"]", ""}:
            return member
        if self._dialect.searched and _is_class(member):
            return member  # the hyphen stands for itself, and comes next
        self._at += 1
        end = self._member(opened)
        if _is_class(member) or _is_class(end):
            raise self._error("a range goes from one character to another", at)
        low, high = member[0][0][0], end[0][0][0]
        if high < low:
            raise self._error("a range goes from the smaller to the larger", at)
        return _pair(((low, high),))

    def _member(self, opened: int) -> Pair:
        first = self._peek()
        if not first:
            raise self._error("this bracket is not closed", opened)
        name = self._pattern[self._at + 1 : self._at + 2]
        if first == "\\" and name in self._dialect.classes:
            self._at += 2
            return self._dialect.classes[name]
        if first == "\\" and name == "b":
            self._at += 2
            return _pair(((0x08, 0x08),))
        if first == "\\":
            code = self._escaped_character()
        else:
            code = ord(first)
            self._at += 1
        return _pair(((code, code),))


def _pair(ranges: Ranges) -> Pair:
    return ranges, ranges


def _is_class(member: Pair) -> bool:
    ranges = member[0]
    return len(ranges) != 1 or ranges[0][0] != ranges[0][1]


def _counts(pattern: str, at: int) -> re.Match[str] | None:
    """A repetition in braces; any other brace stands for itself."""
    match = _COUNT.match(pattern, at)
    return None if match is None or match.group() == "{}" else match


def _repeats(tree: Tree) -> int:
    """The largest product of the numbers of repetitions within each other."""
    if isinstance(tree, Repeated):
        return max(tree.low, tree.high or 0, 1) * _repeats(tree.item)
    if isinstance(tree, (Sequence, Options)):
        return max(map(_repeats, tree.items), default=1)
    return 1


def any_character() -> Chars:
    """What matches every character."""
    return Chars(ANYTHING)
