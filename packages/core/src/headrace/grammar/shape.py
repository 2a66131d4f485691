"""How the rules of a grammar refer to each other, and loops in the place of recursion.

Rules that refer to each other at their ends only are a finite automaton, spelled out: llama.cpp
writes "any text that does not contain this" so, as some fifty rules. They are solved like linear
equations, by ``x ::= a x | b`` being ``x ::= a* b``, and are regular expressions then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from headrace.errors import GrammarError
from headrace.grammar.checks import walk
from headrace.grammar.nodes import Chain, Either, First, Node, Opaque, Ref, Repeat, Rules, TokenRef

MAX_CHAIN = 4000
"""Most rules that refer to each other in a chain: llguidance recurses from one to the next, and
twice as many are still fine on ``library.STACK``."""

MANY = 500
"""Rules from which on a chain can be too long: an automaton is solved by more rules than it had."""

_DEEP = 20
"""Parentheses within each other that are looked into for the end of a rule."""
_MOST_SOLVED = 2000
"""Most rules of one automaton that are solved."""

ROOT = ">"
"""The name of the first rule; no caller's has a >."""

_Way = tuple[Node, ...]


def looped(start: Node, rules: Rules) -> dict[str, Node]:
    """The rules that a node needs, with loops in the place of recursion where that can be.

    Args:
        start: What is to be matched; it becomes the rule ``ROOT``.
        rules: What it refers to.
    """
    root = ROOT
    found = _needed({**rules, root: start}, root)
    for ring in _rings(found):
        if not _solve(found, ring, root):
            for name in ring:
                _solve(found, [name], root)
    return _needed(found, root)


def meant(rules: Rules, name: str) -> str:
    """The rule that a name stands for, if its own says no more than another name."""
    rule = rules[name]
    while isinstance(rule, Ref):
        name, rule = rule.name, rules[rule.name]
    return name


def regular(rules: Rules) -> set[str]:
    """The rules that are regular expressions, and refer to such alone.

    Raises:
        GrammarError: If rules refer to each other in a chain that is too long to follow.
    """
    users: dict[str, list[str]] = {name: [] for name in rules}
    waits = dict.fromkeys(rules, 0)
    for name, rule in rules.items():
        for node in walk([rule]):
            if isinstance(node, Ref):
                users[node.name].append(name)
            # What is no part of a regular expression is waited for without an end.
            waits[name] += isinstance(node, (Ref, TokenRef, First, Opaque))
    depth = dict.fromkeys(rules, 1)
    done = [name for name, count in waits.items() if not count]
    for name in done:  # grows on the way
        for user in users[name]:
            below = depth[name] + (not isinstance(rules[user], Ref))
            depth[user] = max(depth[user], below)
            waits[user] -= 1
            if not waits[user]:
                done.append(user)
    longest = max(depth.values()) + len(rules) - len(done)
    if longest > MAX_CHAIN:
        raise GrammarError(
            f"some {longest} rules refer to each other in a chain; {MAX_CHAIN} are possible",
            hint="Use * and + where a rule refers to itself, or fewer and larger rules.",
        )
    return set(done)


def _references(node: Node) -> Iterator[str]:
    return (each.name for each in walk([node]) if isinstance(each, Ref))


def _needed(rules: Rules, root: str) -> dict[str, Node]:
    found: dict[str, Node] = {}
    todo = [root]
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = rules[name]
            todo.extend(_references(rules[name]))
    return found


def _rings(rules: Rules) -> list[list[str]]:
    """The largest sets of rules that all lead to each other (Tarjan's, without recursion)."""
    rings: list[list[str]] = []
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: dict[str, None] = {}
    for start in rules:
        trail = [] if start in number else [(start, _references(rules[start]))]
        while trail:
            name, following = trail[-1]
            if name not in number:
                number[name] = low[name] = len(number)
                open_[name] = None
            for other in following:
                if other not in number:
                    trail.append((other, _references(rules[other])))
                    break
                if other in open_:
                    low[name] = min(low[name], low[other])
            else:
                trail.pop()
                if trail:
                    before = trail[-1][0]
                    low[before] = min(low[before], low[name])
                if low[name] == number[name]:
                    ring: list[str] = []
                    while not ring or ring[-1] != name:
                        ring.append(open_.popitem()[0])
                    if len(ring) > 1 or name in _references(rules[name]):
                        rings.append(ring[::-1])
    return rings


# -- equations ---------------------------------------------------------------


def _solve(rules: dict[str, Node], ring: list[str], root: str) -> bool:
    """Rewrite the rules of a ring without references to each other; False: not possible.

    What is before a reference is never empty, that would be left recursion and refused. It may
    itself refer to the rule: that ``x ::= a x | b`` is ``x ::= a* b`` holds for any a and b.
    """
    inside = set(ring)
    if len(ring) > _MOST_SOLVED:
        return False
    equations: dict[str, dict[str | None, list[Node]]] = {}
    for name in ring:
        found: dict[str | None, list[Node]] = {}
        for way in _ways(rules[name], inside, _DEEP) or [(rules[name],)]:
            last = way[-1] if way else None
            target = last.name if isinstance(last, Ref) and last.name in inside else None
            body = way if target is None else way[:-1]
            if len(ring) > 1 and any(inside.intersection(_references(each)) for each in body):
                return False
            found.setdefault(target, []).append(Chain(body))
        if len(ring) == 1 and name not in found:
            return False
        equations[name] = found
    outside = {root}.union(
        *(_references(rule) for name, rule in rules.items() if name not in inside)
    )
    if len(ring) == 1:
        outside.add(ring[0])
    for name in reversed(ring):
        _eliminate(rules, equations, name)
        if name not in outside:
            del equations[name]
    for name, found in equations.items():
        rules[name] = _either(found[None])
    return True


def _eliminate(
    rules: dict[str, Node], equations: dict[str, dict[str | None, list[Node]]], name: str
) -> None:
    """Put what a rule says in the place of each reference to it."""
    own = equations[name]
    again = own.pop(name, [])
    loop = (Repeat(_either(again), 0, None),) if again else ()
    for target, ways in own.items():
        own[target] = [Chain((*loop, _either(ways)))]
    users = [(user, found) for user, found in equations.items() if name in found]
    for target in own:
        if users and target != name:
            # Under a name, so that it is written once however many use it. No caller's has a >.
            part = f"{name}>{target or ''}"
            rules[part] = own[target][0]
            for _, found in users:
                before = _either(found[name])
                found.setdefault(target, []).append(Chain((before, Ref(part))))
    for _, found in users:
        del found[name]


def _either(ways: list[Node]) -> Node:
    return ways[0] if len(ways) == 1 else Either(tuple(ways))


def _ways(node: Node, names: Collection[str], deep: int) -> list[_Way] | None:
    """The alternatives of a node, if one of them ends with a reference to one of the names."""
    if isinstance(node, Ref) and node.name in names:
        return [(node,)]
    if not deep:
        return None
    if isinstance(node, Chain) and node.items:
        ends = _ways(node.items[-1], names, deep - 1)
        return None if ends is None else [(*node.items[:-1], *end) for end in ends]
    if isinstance(node, Repeat) and (node.low, node.high) == (0, 1):
        ways = _ways(node.item, names, deep - 1)
        return None if ways is None else [(), *ways]
    if isinstance(node, Either):
        options = [_ways(option, names, deep - 1) for option in node.options]
        if any(option is not None for option in options):
            pairs = zip(node.options, options, strict=True)
            return [way for one, ways in pairs for way in ([(one,)] if ways is None else ways)]
    return None
