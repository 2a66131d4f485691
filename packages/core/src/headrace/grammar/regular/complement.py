"""Patterns for what another pattern does not match: what a negative lookahead leaves.

By the automaton of the other one, made deterministic: what it does not accept in the end is the
complement, and a pattern comes of it by taking out one state after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import attrs

from headrace.errors import GrammarError
from headrace.grammar.regular import tree as t
from headrace.grammar.regular.dialects import ANYTHING
from headrace.grammar.sets import Ranges, union

MAX_PLACES = 2000
"""Most places of the automaton of a pattern."""
MAX_STATES = 24
"""Most states of the deterministic one."""
MAX_SIZE = 4000
"""Most sets of characters in the pattern that comes of it."""
_TOO_LARGE = "a negative lookahead with so many possibilities cannot be part of a grammar"

_Edges = dict[int, dict[int, t.Tree]]


def complement(tree: t.Tree) -> t.Tree | None:
    """What matches all the texts that a tree does not match from beginning to end; None: none.

    Args:
        tree: Without edges and lookaheads.

    Raises:
        GrammarError: If it is too large, or has Unicode properties.
    """
    automaton = _Automaton()
    end = automaton.add(tree, 0)
    states, edges = _deterministic(automaton)
    accepted = [number for number, places in enumerate(states) if end not in places]
    return _pattern(len(states), edges, accepted)


@attrs.define
class _Automaton:
    """Places with steps from one to the next; the first is where a text begins."""

    steps: list[list[tuple[Ranges, int]]] = attrs.field(factory=lambda: [[]])
    free: list[list[int]] = attrs.field(factory=lambda: [[]])
    """Steps that take no character."""

    def add(self, tree: t.Tree, at: int) -> int:
        """Add what a tree matches behind a place; the place behind it."""
        if isinstance(tree, t.Chars):
            if tree.properties:
                raise GrammarError(
                    "a property of characters in a negative lookahead cannot be part of a grammar"
                )
            behind = self._place()
            self.steps[at].append((tree.ranges, behind))
            return behind
        if isinstance(tree, t.Sequence):
            for item in tree.items:
                at = self.add(item, at)
            return at
        if isinstance(tree, t.Options):
            behind = self._place()
            for item in tree.items:
                self.free[self.add(item, self._entered(at))].append(behind)
            return behind
        assert isinstance(tree, t.Repeated)
        return self._add_repeated(tree, at)

    def _add_repeated(self, tree: t.Repeated, at: int) -> int:
        for _ in range(tree.low):
            at = self.add(tree.item, at)
        behind = self._place()
        if tree.high is None:
            again = self._entered(at)
            self.free[self.add(tree.item, again)].append(again)
            self.free[again].append(behind)
            return behind
        for _ in range(tree.high - tree.low):
            self.free[at].append(behind)
            at = self.add(tree.item, self._entered(at))
        self.free[at].append(behind)
        return behind

    def reached(self, places: Iterable[int]) -> frozenset[int]:
        """Some places and those that no character is between."""
        found = set(places)
        waiting = list(found)
        while waiting:
            new = set(self.free[waiting.pop()]) - found
            found |= new
            waiting += new
        return frozenset(found)

    def _place(self) -> int:
        if len(self.steps) >= MAX_PLACES:
            raise GrammarError(_TOO_LARGE)
        self.steps.append([])
        self.free.append([])
        return len(self.steps) - 1

    def _entered(self, at: int) -> int:
        place = self._place()
        self.free[at].append(place)
        return place


def _deterministic(automaton: _Automaton) -> tuple[list[frozenset[int]], _Edges]:
    """The sets of places that a text leads to, and what leads from one to another."""
    states = [automaton.reached([0])]
    edges: _Edges = {}
    for number, places in enumerate(states):
        steps = [step for place in places for step in automaton.steps[place]]
        found: dict[int, list[tuple[int, int]]] = {}
        for low, high in _intervals(ranges for ranges, _ in steps):
            to = automaton.reached(
                place for ranges, place in steps if any(a <= low <= b for a, b in ranges)
            )
            if to not in states:
                states.append(to)
            found.setdefault(states.index(to), []).append((low, high))
        if len(states) > MAX_STATES:
            raise GrammarError(_TOO_LARGE)
        edges[number] = {to: t.Chars(union(ranges)) for to, ranges in found.items()}
    return states, edges


def _intervals(sets: Iterable[Ranges]) -> Iterator[tuple[int, int]]:
    """All characters in pieces that are in each of some sets, or not, as a whole."""
    first, last = ANYTHING[0][0], ANYTHING[-1][1]
    bounds = {first, last + 1}
    for ranges in sets:
        bounds.update(each for low, high in ranges for each in (low, high + 1))
    ordered = sorted(bounds)
    for low, after in itertools.pairwise(ordered):
        yield low, after - 1


def _pattern(n_states: int, edges: _Edges, accepted: list[int]) -> t.Tree | None:
    """What leads from the first state to one that is accepted."""
    begin, end = n_states, n_states + 1
    edges = {**edges, begin: {0: t.EMPTY}, end: {}}
    for state in accepted:
        edges[state][end] = t.EMPTY
    left = set(range(n_states))
    while left:
        state = min(left, key=lambda each: (_cost(edges, each), each))
        left.discard(state)
        out = edges.pop(state)
        itself = out.pop(state, None)
        again = () if itself is None else (t.Repeated(itself, 0, None),)
        for others in edges.values():
            way = others.pop(state, None)
            if way is None:
                continue
            for to, further in out.items():
                path = _joined(way, *again, further)
                others[to] = path if to not in others else _either(others[to], path)
                if _size(others[to]) > MAX_SIZE:
                    raise GrammarError(_TOO_LARGE)
    return edges[begin].get(end)


def _cost(edges: _Edges, state: int) -> int:
    n_in = sum(state in others for others in edges.values())
    return n_in * len(edges[state])


def _joined(*trees: t.Tree) -> t.Tree:
    items: list[t.Tree] = []
    for tree in trees:
        items += tree.items if isinstance(tree, t.Sequence) else [tree]
    return items[0] if len(items) == 1 else t.Sequence(tuple(items))


def _either(one: t.Tree, other: t.Tree) -> t.Tree:
    options: list[t.Tree] = []
    for tree in (one, other):
        options += tree.items if isinstance(tree, t.Options) else [tree]
    return t.Options(tuple(dict.fromkeys(options)))


def _size(tree: t.Tree) -> int:
    if isinstance(tree, t.Repeated):
        return _size(tree.item)
    return sum(map(_size, tree.items)) if isinstance(tree, (t.Sequence, t.Options)) else 1
