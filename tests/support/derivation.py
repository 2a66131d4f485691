"""A text that a grammar allows, chosen by numbers: what a backend without a model writes."""

from __future__ import annotations

from collections.abc import Callable

from headrace.errors import GrammarError
from headrace.grammar.checks import shortest
from headrace.grammar.nodes import (
    Chain,
    CharSet,
    Either,
    Node,
    Ref,
    Repeat,
    Rules,
    Text,
    TokenRef,
)
from headrace.grammar.sets import union, without, writable

_PLAIN = ((0x61, 0x7A), (0x30, 0x39), (0x41, 0x5A), (0x20, 0x20))
_MOST_REPEATS = 4
"""Repetitions beyond the least."""


def derive(
    rules: Rules, root: str, draw: Callable[[int], int], *, length: int = 64
) -> list[str | TokenRef]:
    """Texts and tokens that together match the grammar.

    Args:
        rules: A grammar that was checked.
        root: The rule to match.
        draw: Gives a number from 0 to below its argument.
        length: About as many characters; from then on the shortest way to an end is taken.
    """
    least = shortest(rules)
    written: list[str | TokenRef] = []
    count = 0
    todo: list[Node] = [rules[root]]
    while todo:
        node = todo.pop()
        short = count >= length
        if isinstance(node, (Text, CharSet)):
            text = node.characters if isinstance(node, Text) else _character(node, draw)
            written.append(text)
            count += len(text)
        elif isinstance(node, TokenRef):
            written.append(node)
            count += 1
        elif isinstance(node, Ref):
            todo.append(rules[node.name])
        elif isinstance(node, Chain):
            todo.extend(reversed(node.items))
        elif isinstance(node, Either):
            room = max(length - count, 0)
            near = [each for each in node.options if least[each] <= room]
            if short or not near:
                near = [min(node.options, key=least.__getitem__)]
            todo.append(near[draw(len(near))])
        elif isinstance(node, Repeat):
            todo.extend([node.item] * _times(node, draw, short=short))
    return written


def _times(node: Repeat, draw: Callable[[int], int], *, short: bool) -> int:
    if short:
        return node.low
    most = node.low + _MOST_REPEATS
    return node.low + draw((most if node.high is None else min(most, node.high)) - node.low + 1)


def _character(node: CharSet, draw: Callable[[int], int]) -> str:
    """A plain one if the set has any."""
    ranges = without(node.ranges) if node.negated else union(node.ranges)
    plain = [
        (max(low, first), min(high, last))
        for low, high in ranges
        for first, last in _PLAIN
        if max(low, first) <= min(high, last)
    ]
    found = plain or list(writable(ranges))
    if not found:
        raise GrammarError("the grammar asks for a character that is never written")
    low, high = found[draw(len(found))]
    return chr(low + draw(high - low + 1))
