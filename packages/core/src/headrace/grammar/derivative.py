"""Whether a text matches a grammar, without a native library.

The set of places in the grammar that the text so far can have led to is followed character
by character. A place is what is still to come: nested pairs of a node and the rest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from headrace.grammar.nodes import (
    Chain,
    CharSet,
    Either,
    Node,
    Ref,
    Repeat,
    Rules,
    Text,
)

Rest = tuple[Any, ...]
"""Empty: the end. Else a node and the rest."""


class Matcher:
    """Follows a text, and tokens where the grammar names them.

    Args:
        rules: A grammar that was checked.
        root: The rule that all of it is to match.
    """

    def __init__(self, rules: Rules, root: str) -> None:
        self._rules = rules
        self._shorter: dict[tuple[Repeat, int, int | None], Node] = {}
        self._after: dict[Text, Node] = {}
        self._places: list[Rest] = self.opened([(rules[root], ())])

    @property
    def complete(self) -> bool:
        """Whether the text may end here."""
        return () in self._places

    @property
    def alive(self) -> bool:
        """Whether the text so far can be the beginning of one that matches."""
        return bool(self._places)

    @property
    def places(self) -> list[Rest]:
        """Where in the grammar the text so far can have led to."""
        return self._places

    def feed(self, text: str) -> bool:
        """Go on with a text; False: nothing that begins so matches."""
        for character in text:
            self._move(functools.partial(begins, code=ord(character)))
        return self.alive

    def _move(self, matches: Callable[[Node], bool]) -> None:
        self._places = self.moved(self._places, matches)

    def moved(self, places: Iterable[Rest], matches: Callable[[Node], bool]) -> list[Rest]:
        """Where a character, or a token, leads to from some places."""
        moved: list[Rest] = []
        for place in places:
            if place and matches(place[0]):
                node, rest = place
                if isinstance(node, Text) and len(node.characters) > 1:
                    rest = (self.shorter(node), rest)
                moved.append(rest)
        return self.opened(moved)

    def shorter(self, node: Text) -> Node:
        """A text without its first character, the same node each time."""
        if node not in self._after:
            self._after[node] = Text(node.characters[1:])
        return self._after[node]

    def opened(self, places: Iterable[Rest]) -> list[Rest]:
        """The places whose first node is a character, a token, or that are the end."""
        found: dict[Rest, None] = {}
        seen: set[Rest] = set()
        todo = list(places)
        while todo:
            place = todo.pop()
            if place in seen:
                continue
            seen.add(place)
            if not place:
                found[place] = None
                continue
            node, rest = place
            if isinstance(node, Ref):
                todo.append((self._rules[node.name], rest))
            elif isinstance(node, Chain):
                for item in reversed(node.items):
                    rest = (item, rest)
                todo.append(rest)
            elif isinstance(node, Either):
                todo.extend((option, rest) for option in node.options)
            elif isinstance(node, Repeat):
                todo.extend(self._repeated(node, rest))
            elif isinstance(node, Text) and not node.characters:
                todo.append(rest)
            else:
                found[place] = None
        return list(found)

    def _repeated(self, node: Repeat, rest: Rest) -> list[Rest]:
        if node.high == 0:
            return [rest]
        key = (node, max(0, node.low - 1), None if node.high is None else node.high - 1)
        if key not in self._shorter:
            self._shorter[key] = (
                node if key[1:] == (node.low, node.high) else Repeat(node.item, *key[1:])
            )
        once: Rest = (node.item, (self._shorter[key], rest))
        return [once] if node.low > 0 else [once, rest]


def remaining(places: Iterable[Rest]) -> Either:
    """What may follow a text that led to some places."""
    return Either(tuple(Chain(tuple(_flat(place))) for place in places))


def _flat(place: Rest) -> Iterator[Node]:
    while place:
        node, place = place
        yield node


def begins(node: Node, code: int) -> bool:
    """Whether a node begins with a character."""
    if isinstance(node, Text):
        return ord(node.characters[0]) == code
    return isinstance(node, CharSet) and code in node


def matches(rules: Rules, root: str, text: str) -> bool:
    """Whether all of a text matches."""
    matcher = Matcher(rules, root)
    return matcher.feed(text) and matcher.complete
