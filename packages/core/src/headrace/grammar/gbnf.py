"""A parser of llama.cpp's grammar notation, GBNF, that reads exactly what llama.cpp reads.

What llama.cpp would answer with a line on stderr, a crash or an endless loop is an error
here, before it sees the grammar: see also ``checks``.

The notation is described in llama.cpp's ``grammars/README.md``.
"""

from __future__ import annotations

import re

from headrace.errors import GrammarError
from headrace.grammar.nodes import (
    LAST_CHARACTER,
    Chain,
    CharSet,
    Either,
    Node,
    Ref,
    Repeat,
    Text,
    TokenRef,
)
from headrace.grammar.places import check_unicode, error_at

MAX_CHARACTERS = 1 << 20
"""Longest grammar."""
MAX_NESTING = 200
"""Most parentheses within each other: llama.cpp's parser recurses."""
MAX_REPEATS = 2000
"""llama.cpp's own limit of a repetition, times the rules inside."""

_NAME = re.compile(r"[a-zA-Z0-9-]+")
_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_AND_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_COUNT = re.compile(r"\{[ \t]*([0-9]+)[ \t]*(?:(,)[ \t]*([0-9]+)?[ \t]*)?\}")
_TOKEN_ID = re.compile(r"<\[([0-9]{1,9})\]>")
_TOKEN_TEXT = re.compile(r"<[^>]+>")
_HEX = {"x": 2, "u": 4, "U": 8}
_PLAIN_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"} | {c: c for c in '\\"[]-'}


def parse_gbnf(text: str) -> dict[str, Node]:
    """The rules of a grammar.

    Raises:
        GrammarError: With line and column of the first thing that cannot be read.
    """
    check_unicode("grammar", text)
    if len(text) > MAX_CHARACTERS:
        raise GrammarError(
            f"the grammar has {len(text)} characters; at most {MAX_CHARACTERS} are allowed"
        )
    return _Parser(text).rules()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        # How many rules llama.cpp has made so far: it counts names when it first meets
        # them, and makes rules of its own for groups and repetitions.
        self._names: set[str] = set()
        self._made = 0

    def rules(self) -> dict[str, Node]:
        found: dict[str, Node] = {}
        self._space(lines=True)
        while self._at < len(self._text):
            at = self._at
            name = self._name("a rule's name")
            if name in found:
                raise self._error(f"rule {name!r} is defined twice", at)
            self._space()
            if not self._text.startswith("::=", self._at):
                raise self._error(f"'::=' must follow the name {name!r}")
            self._at += 3
            self._space(lines=True)
            found[name] = self._alternatives(nested=False)
            if self._at < len(self._text) and self._text[self._at] not in "\r\n":
                raise self._error(f"unexpected {self._text[self._at]!r} in rule {name!r}")
            self._space(lines=True)
        return found

    # -- pieces ------------------------------------------------------------

    def _error(self, message: str, at: int | None = None) -> GrammarError:
        return error_at("grammar", self._text, self._at if at is None else at, message)

    def _space(self, *, lines: bool = False) -> None:
        match = (_SPACE_AND_LINES if lines else _SPACE).match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _name(self, what: str) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise self._error(f"expected {what}")
        self._at = match.end()
        self._names.add(match.group())
        return match.group()

    def _n_rules(self) -> int:
        return len(self._names) + self._made

    def _alternatives(self, *, nested: bool) -> Node:
        at = self._at
        options = [self._sequence(nested=nested)]
        while self._peek() == "|":
            self._at += 1
            self._space(lines=True)
            options.append(self._sequence(nested=nested))
        return options[0] if len(options) == 1 else Either(tuple(options), at)

    def _sequence(self, *, nested: bool) -> Node:
        at = self._at
        items: list[Node] = []
        weight = 1  # rules that the last item counts for
        while True:
            repetition = self._repetition()
            if repetition is not None:
                low, high, place = repetition
                weight = self._check_repetition(items, low, high, weight, place)
                items[-1] = Repeat(items[-1], low, high, place)
            else:
                item, weight = self._item()
                if item is None:
                    return items[0] if len(items) == 1 else Chain(tuple(items), at)
                items.append(item)
            self._space(lines=nested)

    def _item(self) -> tuple[Node | None, int]:
        at, first = self._at, self._peek()
        if first == '"':
            return self._literal(), 1
        if first == "[":
            return self._set(), 1
        if first in {"<", "!"}:
            return self._token(), 1
        if first == ".":
            self._at += 1
            return CharSet((), negated=True, at=at), 1
        if first == "(":
            return self._group()
        if first and _NAME.match(first):
            return Ref(self._name("a rule's name"), at), 1
        return None, 1

    def _group(self) -> tuple[Node, int]:
        if self._depth == MAX_NESTING:
            raise self._error(f"more than {MAX_NESTING} parentheses within each other")
        opened, before = self._at, self._n_rules()
        self._at += 1
        self._depth += 1
        self._made += 1
        self._space(lines=True)
        inner = self._alternatives(nested=True)
        if self._peek() != ")":
            raise self._error("this parenthesis is not closed", opened)
        self._at += 1
        self._depth -= 1
        return inner, self._n_rules() - before

    # -- repetitions -------------------------------------------------------

    def _repetition(self) -> tuple[int, int | None, int] | None:
        at, sign = self._at, self._peek()
        if sign in {"*", "+", "?"}:
            self._at += 1
            return int(sign == "+"), 1 if sign == "?" else None, at
        if sign != "{":
            return None
        match = _COUNT.match(self._text, at)
        if match is None:
            raise self._error("a repetition is {n}, {n,} or {n,m}")
        self._at = match.end()
        low, comma, high = match.groups()
        for number in (low, high or "0"):
            if len(number) > 9 or int(number) > MAX_REPEATS:
                raise self._error(f"at most {MAX_REPEATS} repetitions are possible", at)
        if not comma:
            return int(low), int(low), at
        return int(low), int(high) if high else None, at

    def _check_repetition(
        self, items: list[Node], low: int, high: int | None, weight: int, at: int
    ) -> int:
        """Refuse what llama.cpp refuses, or loops over; returns what the repetition counts for."""
        if not items or _vanishes(items[-1]):
            raise self._error("there is nothing to repeat", at)
        if high is not None and high < low:
            raise self._error(f"a repetition from {low} to {high} times", at)
        weight *= high or low or 1
        if weight > MAX_REPEATS:
            raise self._error(
                f"the rules within, times the repetitions, are more than {MAX_REPEATS}", at
            )
        self._made += 1 if high is None else high - low
        return weight

    # -- characters --------------------------------------------------------

    def _literal(self) -> Text:
        at = self._at
        self._at += 1
        characters = []
        while self._peek() != '"':
            if not self._peek():
                raise self._error("this text is not closed", at)
            place = self._at
            code = self._character()
            if code == 0 or 0xD800 <= code <= 0xDFFF:
                raise self._error(f"character U+{code:04X} is never written", place)
            characters.append(chr(code))
        self._at += 1
        return Text("".join(characters), at)

    def _set(self) -> CharSet:
        at = self._at
        self._at += 1
        negated = self._peek() == "^"
        self._at += negated
        ranges = []
        while self._peek() != "]":
            place = self._at
            if not self._peek():
                raise self._error("this bracket is not closed", at)
            low = high = self._character()
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                if not self._peek():
                    raise self._error("this bracket is not closed", at)
                high = self._character()
            if high < low:
                raise self._error("a range goes from the smaller to the larger", place)
            ranges.append((low, high))
        if not ranges:
            raise self._error("no characters between the brackets", at)
        self._at += 1
        return CharSet(tuple(ranges), negated, at)

    def _character(self) -> int:
        at, first = self._at, self._peek()
        if first != "\\":
            self._at += 1
            return ord(first)
        escape = self._text[at + 1 : at + 2]
        if escape in _PLAIN_ESCAPES:
            self._at += 2
            return ord(_PLAIN_ESCAPES[escape])
        digits = self._text[at + 2 : at + 2 + _HEX.get(escape, 0)]
        if not digits or len(digits) < _HEX[escape] or not re.fullmatch("[0-9a-fA-F]+", digits):
            raise self._error(r"escapes are \\ \" \[ \] \- \n \r \t \xHH \uHHHH \UHHHHHHHH", at)
        code = int(digits, 16)
        if code > LAST_CHARACTER:
            raise self._error(f"there is no character U+{code:X}", at)
        self._at += 2 + len(digits)
        return code

    def _token(self) -> TokenRef:
        at = self._at
        negated = self._peek() == "!"
        self._at += negated
        by_id = _TOKEN_ID.match(self._text, self._at)
        match = by_id or _TOKEN_TEXT.match(self._text, self._at)
        if match is None or (by_id is None and match.group().startswith("<[")):
            raise self._error("a token is <[id]> or <text>", at)
        self._at = match.end()
        return TokenRef(int(match.group(1)) if by_id else match.group(), negated, at)


def _vanishes(node: Node) -> bool:
    """Whether llama.cpp keeps nothing of it that could be repeated."""
    return (isinstance(node, Text) and not node.characters) or (
        isinstance(node, Repeat) and node.high == 0
    )
