"""Which parts of a grammar that recurses can be read as one lexeme each.

llguidance's lexer goes on as long as any lexeme that may come here can go on, and then hands all
that are complete to the parser. So a division into lexemes loses no text if this holds wherever a
lexeme p is complete, and a lexeme q that may come in its place goes on: no character that q goes on
with is one that may follow p. Then where the lexer goes on, no other way of reading went on.

All lexemes that may come at one place begin together; those that are complete together are the
same text. So which may come together is found from pairs: from those that begin the grammar, and
from pairs that have a text in common to the pairs of what follows them. What is checked of a pair
is found by walking both at once. All of it takes too many pairs rather than too few. Characters are
compared by their first bytes, since that is where the lexer decides.

Parts are taken as large as they are, and what breaks the rule is taken apart, down to characters:
those are never complete within each other.
"""

from __future__ import annotations

import collections
from collections import deque
from collections.abc import Iterator

from headrace.grammar.checks import may_be_empty, walk
from headrace.grammar.derivative import Matcher, Rest
from headrace.grammar.nodes import (
    Chain,
    CharSet,
    Either,
    First,
    Node,
    Opaque,
    Ref,
    Repeat,
    Rules,
    Text,
    TokenRef,
    Whole,
    children,
)
from headrace.grammar.sets import Ranges, first_ranges

MOST_UNITS = 400
"""Most parts whose pairs are looked at; a grammar of more is read character by character."""
_MOST_STEPS = 3000
"""Most steps of walking two parts at once; beyond, they break the rule."""

_ANY_BYTE = (1 << 256) - 1


def grouped(rules: Rules, plain: set[str]) -> dict[str, Node]:
    """The same rules, with parts that can be a lexeme as nodes of their own.

    Args:
        rules: A grammar.
        plain: Those of the rules that are regular expressions.
    """
    count = collections.Counter(node.name for node in walk(rules.values()) if isinstance(node, Ref))
    once = {
        name: rule
        for name, rule in rules.items()
        if isinstance(rule, Chain) and count[name] == 1 and name not in plain
    }
    return {name: _grouped(_spliced(rule, once), plain) for name, rule in rules.items()}


def _spliced(rule: Node, once: dict[str, Chain]) -> Node:
    """A chain with the chains in the place of the names that stand for them here alone."""
    if not isinstance(rule, Chain):
        return rule
    items: list[Node] = []
    todo = list(reversed(rule.items))
    while todo:
        node = todo.pop()
        if isinstance(node, Ref) and node.name in once:
            todo.extend(reversed(once[node.name].items))
        else:
            items.append(node)
    return Chain(tuple(items))


def _grouped(root: Node, plain: set[str]) -> Node:
    made: dict[Node, Node] = {}
    simple: set[Node] = set()
    for node in reversed(list(walk([root]))):
        inner = [made[child] for child in children(node)]
        leaf = isinstance(node, (Text, CharSet)) or (isinstance(node, Ref) and node.name in plain)
        made_of = isinstance(node, (Chain, Either, Repeat)) and simple.issuperset(children(node))
        if leaf or made_of:
            simple.add(node)
        if isinstance(node, Chain):
            made[node] = node if node in simple else Chain(tuple(_runs(node, inner, simple)))
        elif isinstance(node, Either):
            made[node] = node if node in simple else Either(tuple(inner))
        elif isinstance(node, Repeat) and node.high != 1 and not node.low:
            again = Repeat(inner[0], 1, node.high)
            made[node] = Repeat(again, 0, 1) if node.high != 0 else Chain(())
        elif isinstance(node, Repeat):
            made[node] = Repeat(inner[0], node.low, node.high)
        else:
            made[node] = node
    return made[root]


def _runs(node: Chain, inner: list[Node], simple: set[Node]) -> Iterator[Node]:
    run: list[Node] = []
    for before, after in zip(node.items, inner, strict=True):
        if before in simple:
            run.append(after)
            continue
        yield from [Chain(tuple(run))] if len(run) > 1 else run
        run = []
        yield after
    yield from [Chain(tuple(run))] if len(run) > 1 else run


def lexemes(rules: Rules, root: str, plain: set[str]) -> set[Node]:
    """The nodes that can be one lexeme each; all else is read by its characters.

    Args:
        rules: A grammar, after ``grouped``.
        root: Its first rule.
        plain: Those of the rules that are regular expressions.
    """
    return _Search(rules, root, plain).found()


class _Search:
    def __init__(self, rules: Rules, root: str, plain: set[str]) -> None:
        self._rules = rules
        self._root = root
        self._plain = plain
        self._empty = may_be_empty(rules)
        self._matcher = Matcher({"": Chain(()), **rules}, "")
        self._apart: set[Node] = set()
        self._spelled: dict[Text, Chain] = {}
        self._regular: dict[Node, bool] = {}
        self._walked: dict[tuple[Node, Node], tuple[bool, int]] = {}

    def found(self) -> set[Node]:
        while True:
            units, first, follow = self._units()
            if len(units) > MOST_UNITS:
                return {unit for unit in units if isinstance(unit, (Whole, First))}
            bad = self._bad(units, first, follow)
            if not bad:
                return {unit for unit in units if _can_be_split(unit) or _fixed(unit)}
            self._apart |= bad

    # -- what there is -----------------------------------------------------

    def _is_unit(self, node: Node) -> bool:
        if isinstance(node, (CharSet, TokenRef, Opaque)):
            return True
        if isinstance(node, (Whole, First)):
            return self._is_regular(node.item)
        return node not in self._apart and node not in self._empty and self._is_regular(node)

    def _made_of(self, node: Node) -> tuple[Node, ...]:
        """What comes in the place of a node that is no part itself, one after the other or not."""
        if isinstance(node, Ref):
            return (self._rules[node.name],)
        if isinstance(node, Text):
            if node not in self._spelled:
                self._spelled[node] = Chain(tuple(map(Text, node.characters)))
            return self._spelled[node].items
        return children(node)

    def _is_regular(self, node: Node) -> bool:
        if node not in self._regular:
            self._regular[node] = all(
                each.name in self._plain
                if isinstance(each, Ref)
                else not isinstance(each, (TokenRef, Opaque, First))
                for each in walk([node])
            )
        return self._regular[node]

    def _units(self) -> tuple[list[Node], int, dict[Node, int]]:
        """The parts, those that come first, and those that may follow each, as sets of bits."""
        numbers: dict[Node, int] = {}
        order: list[Node] = []
        seen: set[Node] = set()
        todo = [self._rules[self._root]]
        while todo:
            node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            order.append(node)
            if self._is_unit(node):
                numbers[node] = len(numbers)
            else:
                todo.extend(self._made_of(node))
        first = self._first(order, numbers)
        follow = dict.fromkeys(order, 0)
        changed = True
        while changed:
            changed = False
            for node in order:
                for inner, more in self._inside(node, follow[node], first):
                    if more & ~follow[inner]:
                        follow[inner] |= more
                        changed = True
        units = list(numbers)
        return units, first[self._rules[self._root]], {unit: follow[unit] for unit in units}

    def _first(self, order: list[Node], numbers: dict[Node, int]) -> dict[Node, int]:
        first = {node: 1 << numbers[node] if node in numbers else 0 for node in order}
        changed = True
        while changed:
            changed = False
            for node in reversed(order):
                if node in numbers:
                    continue
                now = first[node]
                for child in self._made_of(node):
                    now |= first[child]
                    if isinstance(node, (Chain, Text)) and child not in self._empty:
                        break
                if now != first[node]:
                    first[node] = now
                    changed = True
        return first

    def _inside(self, node: Node, after: int, first: dict[Node, int]) -> Iterator[tuple[Node, int]]:
        """What may follow the nodes that a node is made of."""
        if self._is_unit(node):
            return
        if isinstance(node, (Chain, Text)):
            for item in reversed(self._made_of(node)):
                yield item, after
                after = first[item] | (after if item in self._empty else 0)
        elif isinstance(node, Repeat):
            yield node.item, after | (first[node.item] if node.high != 1 else 0)
        else:
            for child in self._made_of(node):
                yield child, after

    # -- what breaks the rule ----------------------------------------------

    def _bad(self, units: list[Node], first: int, follow: dict[Node, int]) -> set[Node]:
        leads = [self._leads(unit) for unit in units]
        after = []
        for unit in units:
            bits = 0
            for number in _bits(follow[unit]):
                bits |= leads[number]
            after.append(bits)
        bad: set[Node] = set()
        seen: set[tuple[int, int]] = set()
        todo: deque[tuple[int, int]] = deque()

        def meet(left: int, right: int) -> None:
            for one in _bits(left):
                for other in _bits(right):
                    if (one, other) not in seen:
                        seen.update(((one, other), (other, one)))
                        todo.append((one, other))

        meet(first, first)
        while todo:
            one, other = todo.popleft()
            together = False
            for p, q in ((one, other), (other, one)):
                same, onward = self._walk(units[p], units[q])
                together = together or same
                if onward & after[p]:
                    bad.update(each for each in (units[q],) if _can_be_split(each))
            if together:
                meet(follow[units[one]], follow[units[other]])
        return bad

    def _walk(self, p: Node, q: Node) -> tuple[bool, int]:
        """Whether two parts have a text in common, and the bytes q goes on with where p ends."""
        if p is not q and not (self._leads(p) & self._leads(q)):
            return False, 0
        if isinstance(p, (TokenRef, Opaque)) or isinstance(q, (TokenRef, Opaque)):
            return True, 0
        if (p, q) not in self._walked:
            self._walked[p, q] = self._walk_anew(p, q)
        return self._walked[p, q]

    def _walk_anew(self, p: Node, q: Node) -> tuple[bool, int]:
        same, onward, steps = False, 0, 0
        seen: set[tuple[Rest, Rest]] = set()
        todo = [(a, b) for a in self._opened((p, ())) for b in self._opened((q, ()))]
        while todo:
            pair = todo.pop()
            if pair in seen:
                continue
            seen.add(pair)
            steps += 1
            if steps > _MOST_STEPS:
                return True, _ANY_BYTE
            a, b = pair
            if not a:
                same = same or not b
                onward |= _lead_bytes(first_ranges(b[0])) if b else 0
            elif b and _meet(first_ranges(a[0]), first_ranges(b[0])):
                todo.extend(
                    (x, y) for x in self._opened(self._on(a)) for y in self._opened(self._on(b))
                )
        return same, onward

    def _on(self, place: Rest) -> Rest:
        node, rest = place
        if isinstance(node, Text) and len(node.characters) > 1:
            return (self._matcher.shorter(node), rest)
        return tuple(rest)

    def _opened(self, place: Rest) -> list[Rest]:
        if place and isinstance(place[0], (Whole, First)):
            place = (place[0].item, place[1])
        return self._matcher.opened([place])

    def _leads(self, unit: Node) -> int:
        """The bytes that a part begins with."""
        if isinstance(unit, TokenRef):
            return 1 << 255
        if isinstance(unit, Opaque):
            return _ANY_BYTE
        bits = 0
        for place in self._opened((unit, ())):
            bits |= _lead_bytes(first_ranges(place[0])) if place else 0
        return bits


def _can_be_split(unit: Node) -> bool:
    if isinstance(unit, Text):
        return len(unit.characters) > 1
    return not isinstance(unit, (CharSet, TokenRef, Opaque, Whole, First))


def _fixed(unit: Node) -> bool:
    return isinstance(unit, (Whole, First))


def _bits(number: int) -> Iterator[int]:
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def _meet(left: Ranges, right: Ranges) -> bool:
    return any(low <= high2 and low2 <= high for low, high in left for low2, high2 in right)


_WIDTHS = ((0x7F, 0, 0x00), (0x7FF, 6, 0xC0), (0xFFFF, 12, 0xE0), (0x10FFFF, 18, 0xF0))
"""The last character of each length in UTF-8, the bits behind its first byte, and that byte's."""


def _lead_bytes(ranges: Ranges) -> int:
    """The bytes that characters begin with in UTF-8, as a set of bits."""
    bits = 0
    for low, high in ranges:
        start = low
        for last, shift, lead in _WIDTHS:
            end = min(high, last)
            if start <= end:
                one, other = lead | (start >> shift), lead | (end >> shift)
                bits |= (1 << other + 1) - (1 << one)
                start = end + 1
    return bits
