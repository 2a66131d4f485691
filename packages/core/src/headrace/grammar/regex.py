"""Regular expressions to grammars.

A parser of Python's syntax, as far as a grammar can express it. Repetitions without an end
must not be of something that may be empty (a grammar would be left-recursive), so those are
rewritten: ``(a*)*`` to ``(a+)*``, and so on.
"""

from __future__ import annotations

import re
import string

from headrace.errors import GrammarError
from headrace.grammar.gbnf import MAX_REPEATS
from headrace.grammar.nodes import LAST_CHARACTER, Chain, CharSet, Either, Node, Repeat, Text
from headrace.grammar.notation import write_gbnf
from headrace.grammar.places import check_unicode, error_at
from headrace.grammar.sets import DIGITS, SPACES, WORD, Ranges, union, without, writable

MAX_PATTERN = 20_000
"""Longest pattern."""
MAX_NESTING = 100
"""Most groups within each other."""
MAX_EMPTY_PARTS = 100
"""Most optional parts of what is repeated: the grammar grows with their square."""

_CLASSES: dict[str, Ranges] = {"d": DIGITS, "w": WORD, "s": SPACES}
_CLASSES.update({name.upper(): without(ranges) for name, ranges in list(_CLASSES.items())})
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_HEX = {"x": 2, "u": 4, "U": 8}
_COUNT = re.compile(r"\{([0-9]*)(?:(,)([0-9]*))?\}")
_GROUP = re.compile(r"\((?:\?:|\?P<[^\W\d]\w*>)?")
_OTHER_GROUPS = {
    "?=": "lookahead",
    "?!": "lookahead",
    "?<": "lookbehind",
    "?P=": "a backreference",
    "?P>": "a call of a group",
    "?(": "a condition",
    "?>": "an atomic group",
    "?#": "a comment",
}


def regex_to_gbnf(pattern: str) -> str:
    """A grammar for the texts that a pattern matches from beginning to end.

    Raises:
        GrammarError: With the position of what cannot be converted.
    """
    node, _ = parse_regex(pattern)
    return write_gbnf({"root": node})


def parse_regex(pattern: str) -> tuple[Node, set[tuple[bool, bool]]]:
    """A pattern, and whether its alternatives have an anchor at the beginning, at the end.

    Raises:
        GrammarError: With the position of what cannot be converted.
    """
    check_unicode("pattern", pattern)
    if len(pattern) > MAX_PATTERN:
        raise GrammarError(
            f"the pattern has {len(pattern)} characters; at most {MAX_PATTERN} are allowed"
        )
    parser = _Parser(pattern)
    return parser.whole(), parser.anchors


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0
        self.anchors: set[tuple[bool, bool]] = set()

    def whole(self) -> Node:
        node = self._alternatives()
        if self._at < len(self._pattern):
            raise self._error("this parenthesis closes nothing")
        return node

    def _error(self, message: str, at: int | None = None, hint: str | None = None) -> GrammarError:
        place = self._at if at is None else at
        return error_at("pattern", self._pattern, place, message, hint)

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _alternatives(self) -> Node:
        options = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Either(tuple(options))

    def _sequence(self) -> Node:
        items: list[Node] = []
        begins, ends = self._skip_anchors(r"\A", "^"), False
        while self._peek() and self._peek() not in "|)":
            ends = self._skip_anchors(r"\Z", "$")
            if ends:
                if self._peek() and self._peek() not in "|)":
                    raise self._error("nothing can follow the end of the text")
                break
            item = self._quantified(self._atom())
            if isinstance(item, Text) and items and isinstance(items[-1], Text):
                items[-1] = Text(items[-1].characters + item.characters)
            else:
                items.append(item)
        if self._depth == 0:
            self.anchors.add((begins, ends))
        return items[0] if len(items) == 1 else Chain(tuple(items))

    def _skip_anchors(self, *anchors: str) -> bool:
        """Skip what says that the text begins or ends here, which it does anyway."""
        before = self._at
        for anchor in anchors:
            while self._depth == 0 and self._pattern.startswith(anchor, self._at):
                self._at += len(anchor)
        return self._at > before

    def _atom(self) -> Node:
        at, first = self._at, self._peek()
        if first == "(":
            return self._group()
        if first == "[":
            return self._set()
        if first == ".":
            self._at += 1
            return _char_set(without(((0x0A, 0x0A),)))
        if first == "\\":
            return self._escaped()
        if first in "*+?" or (first == "{" and _counts(self._pattern, at)):
            raise self._error("there is nothing to repeat")
        if first in "^$":
            raise self._error(f"{first!r} is possible only at the ends of the pattern")
        self._at += 1
        return Text(first)

    def _group(self) -> Node:
        opened = self._at
        for sign, name in _OTHER_GROUPS.items():
            named = sign == "?<" and self._pattern[opened + 3 : opened + 4] not in {"=", "!"}
            if self._pattern.startswith("(" + sign, opened) and not named:
                raise self._error(f"{name} cannot be part of a grammar", opened)
        match = _GROUP.match(self._pattern, opened)
        assert match is not None
        if self._pattern.startswith("?", match.end()):
            raise self._error("flags and other extensions cannot be part of a grammar", opened)
        if self._depth == MAX_NESTING:
            raise self._error(f"more than {MAX_NESTING} groups within each other", opened)
        self._at = match.end()
        self._depth += 1
        node = self._alternatives()
        self._depth -= 1
        if self._peek() != ")":
            raise self._error("this parenthesis is not closed", opened)
        self._at += 1
        return node

    def _quantified(self, node: Node) -> Node:
        at = self._at
        times = self._times()
        if times is None:
            return node
        if self._peek() == "?":
            self._at += 1  # lazy or greedy: the same texts match
        elif self._peek() == "+":
            raise self._error("possessive repetitions cannot be part of a grammar", at)
        if self._peek() in {"*", "+"} or (self._peek() and _counts(self._pattern, self._at)):
            raise self._error("a repetition of a repetition needs parentheses")
        low, high = times
        if high is not None and high < low:
            raise self._error(f"a repetition from {low} to {high} times", at)
        if max(low, high or 0) > MAX_REPEATS:
            raise self._error(f"at most {MAX_REPEATS} repetitions are possible", at)
        return _repeat(node, low, high)

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

    def _escaped(self) -> Node:
        at = self._at
        name = self._pattern[at + 1 : at + 2]
        if name in _CLASSES:
            self._at += 2
            return _char_set(_CLASSES[name])
        if name in "bB" and name:
            raise self._error("word boundaries cannot be part of a grammar")
        if name in {"A", "Z"}:
            raise self._error(f"\\{name} is possible only at the ends of the pattern")
        if name and name in "123456789":
            raise self._error("backreferences cannot be part of a grammar")
        code = self._escaped_character()
        if code not in CharSet(writable(((0, LAST_CHARACTER),))):
            raise self._error(f"character U+{code:04X} is never written", at)
        return Text(chr(code))

    def _escaped_character(self) -> int:
        at = self._at
        name = self._pattern[at + 1 : at + 2]
        if not name:
            raise self._error("a backslash at the end")
        self._at += 2
        if name in _CONTROL:
            return ord(_CONTROL[name])
        if name in _HEX:
            digits = self._pattern[at + 2 : at + 2 + _HEX[name]]
            if len(digits) < _HEX[name] or set(digits) - set(string.hexdigits):
                raise self._error(f"\\{name} needs {_HEX[name]} hexadecimal digits", at)
            self._at += len(digits)
            code = int(digits, 16)
            if code > LAST_CHARACTER:
                raise self._error(f"there is no character U+{code:X}", at)
            return code
        if name in string.ascii_letters + string.digits:
            raise self._error(f"\\{name} cannot be part of a grammar", at)
        return ord(name)

    def _set(self) -> Node:
        opened = self._at
        self._at += 1
        negated = self._peek() == "^"
        self._at += negated
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self._peek() != "]":
            first = False
            at = self._at
            member = self._member(opened)
            if self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] not in {"]", ""}:
                self._at += 1
                end = self._member(opened)
                if any(len(each) > 1 or each[0][0] != each[0][1] for each in (member, end)):
                    raise self._error("a range goes from one character to another", at)
                if end[0][0] < member[0][0]:
                    raise self._error("a range goes from the smaller to the larger", at)
                member = ((member[0][0], end[0][0]),)
            ranges.extend(member)
        self._at += 1
        found = union(ranges)
        found = writable(without(found) if negated else found)
        if not found:
            raise self._error("no character that could be written is in this set", opened)
        return CharSet(found)

    def _member(self, opened: int) -> Ranges:
        first = self._peek()
        if not first:
            raise self._error("this bracket is not closed", opened)
        name = self._pattern[self._at + 1 : self._at + 2]
        if first == "\\" and name in _CLASSES:
            self._at += 2
            return _CLASSES[name]
        if first == "\\" and name == "b":
            self._at += 2
            return ((0x08, 0x08),)
        if first == "\\":
            code = self._escaped_character()
        else:
            code = ord(first)
            self._at += 1
        return ((code, code),)


def _counts(pattern: str, at: int) -> re.Match[str] | None:
    """A repetition in braces; any other brace stands for itself, as in Python."""
    match = _COUNT.match(pattern, at)
    return None if match is None or match.group() == "{}" else match


def _char_set(ranges: Ranges) -> CharSet:
    return CharSet(writable(ranges))


# -- repetitions -----------------------------------------------------------


def _repeat(node: Node, low: int, high: int | None) -> Node:
    if high == 0 or _is_nothing(node):
        return Chain(())
    if _is_empty(node):
        # The empty text makes up for whatever is missing of the lower bound.
        return Repeat(_not_empty(node), 0, high)
    return Repeat(node, low, high)


def _is_nothing(node: Node) -> bool:
    """Whether it matches the empty text only."""
    if isinstance(node, Chain):
        return all(map(_is_nothing, node.items))
    return isinstance(node, Either) and all(map(_is_nothing, node.options))


def _is_empty(node: Node) -> bool:
    """Whether it matches the empty text too."""
    if isinstance(node, Chain):
        return all(map(_is_empty, node.items))
    if isinstance(node, Either):
        return any(map(_is_empty, node.options))
    return isinstance(node, Repeat) and node.low == 0


def _not_empty(node: Node) -> Node:
    """What it matches, without the empty text."""
    if not _is_empty(node):
        return node
    if isinstance(node, Repeat):
        return node.item if node.high == 1 else Repeat(node.item, 1, node.high)
    if isinstance(node, Either):
        return Either(tuple(_not_empty(each) for each in node.options if not _is_nothing(each)))
    assert isinstance(node, Chain)
    # Whatever comes first is not empty; before it there is nothing.
    items = [item for item in node.items if not _is_nothing(item)]
    if len(items) > MAX_EMPTY_PARTS:
        raise GrammarError(
            f"a repetition of more than {MAX_EMPTY_PARTS} parts that may all be empty is too large"
        )
    starts = range(len(items))
    return Either(tuple(Chain((_not_empty(items[i]), *items[i + 1 :])) for i in starts))
