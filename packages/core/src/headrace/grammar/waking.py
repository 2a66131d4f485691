"""What wakes a dormant grammar, as nodes: words, and patterns in the syntax of ECMAScript."""

from __future__ import annotations

import re

import attrs

from headrace.errors import GrammarError
from headrace.grammar.nodes import Chain, CharSet, Either, Node, Repeat, Text
from headrace.grammar.places import error_at
from headrace.grammar.regular import tree as t
from headrace.grammar.regular.dialects import ECMA
from headrace.grammar.regular.parsing import parse

_PIECE = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|.", re.DOTALL)
"""What is read as one in looking for where groups begin and end."""
_DEEP = 20
"""Most groups within each other that hold one that counts."""


@attrs.frozen(eq=False)
class Beginning:
    """Where the output begins."""


@attrs.frozen(eq=False)
class Mark:
    """Where the grammar begins, unless it has begun."""


@attrs.frozen(eq=False)
class Not:
    """What follows does not begin like this, as far as it has been written."""

    item: Node


def word(text: str) -> Node:
    """A text, with which the grammar begins."""
    return _chain(Mark(), Text(text))


def marker(text: str) -> Node:
    """A text, behind which the grammar begins."""
    return _chain(Text(text), Mark())


def pattern(text: str, *, full: bool) -> Node:
    """A pattern: the grammar begins with its first group, or else with the match.

    Args:
        text: In the syntax of ECMAScript, without backreferences and lookbehind.
        full: Whether it begins where the output does.

    Raises:
        GrammarError: With the position of what cannot be followed.
    """
    found = _Pattern(text).whole()
    marks = "(" in re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]|\(\?", "", text, flags=re.DOTALL)
    start = [Beginning()] if full else []
    return _chain(*start, *([] if marks else [Mark()]), found)


def _chain(*items: object) -> Node:
    return Chain(items)  # type: ignore[arg-type]


class _Pattern:
    """Takes apart what holds a group that counts, and leaves the rest to the parser of patterns."""

    def __init__(self, text: str) -> None:
        self._text = text

    def whole(self) -> Node:
        return self._options(0, len(self._text), 0)

    def _error(self, at: int, message: str) -> GrammarError:
        return error_at("pattern", self._text, at, message)

    def _options(self, start: int, end: int, depth: int) -> Node:
        """The alternatives between two places."""
        if depth > _DEEP:
            raise self._error(start, f"more than {_DEEP} groups within each other")
        if not _counts(self._text[start:end]):
            return self._plain(start, end)
        options: list[Node] = []
        items: list[Node] = []
        at = before = start
        while at < end:
            match = _PIECE.match(self._text, at)
            assert match is not None
            if match.group() == "(":
                close = self._close(at, end)
                if _counts(self._text[at : close + 1]):
                    items += [self._plain(before, at), self._group(at, close, end, depth)]
                    before = close + 1
                at = close + 1
            elif match.group() == "|":
                options.append(Chain((*items, self._plain(before, at))))
                items, before, at = [], at + 1, at + 1
            else:
                at = match.end()
        options.append(Chain((*items, self._plain(before, end))))
        return Either(tuple(options))

    def _close(self, opened: int, end: int) -> int:
        depth, at = 0, opened
        while at < end:
            match = _PIECE.match(self._text, at)
            assert match is not None
            depth += {"(": 1, ")": -1}.get(match.group(), 0)
            if not depth:
                return at
            at = match.end()
        raise self._error(opened, "this parenthesis is not closed")

    def _group(self, opened: int, close: int, end: int, depth: int) -> Node:
        if close + 1 < end and self._text[close + 1] in "*+?{":
            raise self._error(close + 1, "a group that counts cannot be repeated")
        sign = re.compile(r"\(\?(?:[:!]|<[A-Za-z_]\w*>)|\((?!\?)").match(self._text, opened)
        if sign is None:
            raise self._error(opened, "lookahead and lookbehind cannot be followed")
        inner = self._options(sign.end(), close, depth + 1)
        if sign.group() == "(?!":
            return _chain(Not(inner))
        return inner if sign.group() == "(?:" else _chain(Mark(), inner)

    def _plain(self, start: int, end: int) -> Node:
        try:
            return node(parse(self._text[start:end], ECMA))
        except GrammarError as error:
            reason = error.message.partition("\n")[0].rpartition(": ")[2]
            at = start + (error.column or 1) - 1
            raise self._error(min(at, end), reason) from None


def _counts(text: str) -> bool:
    """Whether there is a group in it whose place is told, or that looks ahead."""
    return re.search(r"\((?!\?:)", re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "..", text)) is not None


def node(tree: t.Tree) -> Node:
    """What a tree of a pattern matches.

    Raises:
        GrammarError: If that cannot be followed.
    """
    if isinstance(tree, t.Chars):
        if tree.properties:
            raise GrammarError("properties of characters cannot be followed", column=1)
        return CharSet(tree.ranges)
    if isinstance(tree, t.Sequence):
        return Chain(tuple(map(node, tree.items)))
    if isinstance(tree, t.Options):
        return Either(tuple(map(node, tree.items)))
    if isinstance(tree, t.Repeated):
        return Repeat(node(tree.item), tree.low, tree.high)
    if isinstance(tree, t.Edge):
        # The end of the output so far is wherever a pattern is looked for.
        return Chain(()) if tree.is_end else _chain(Beginning())
    raise GrammarError("lookahead cannot be followed", column=tree.at + 1)
