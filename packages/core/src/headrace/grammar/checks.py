"""What a grammar must not do beyond its notation: refer to nothing, recurse for ever, explode.

llama.cpp finds some of this itself; the rest it meets in an endless loop, or in a stack that
overflows. Nothing here recurses, so that no grammar can overflow Python's stack either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headrace.errors import GrammarError
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
    children,
)
from headrace.grammar.places import error_at

MAX_ELEMENTS = 200_000
"""Most elements of the grammar as llama.cpp stores it, repetitions written out."""
MAX_RULES = 50_000
"""Most rules, those made for groups and repetitions included."""


def check_rules(rules: Rules, root: str, text: str, *, loose: bool = False) -> None:
    """Refuse a grammar that cannot be used.

    Args:
        rules: As parsed.
        root: The rule that the output is to match.
        text: What they were parsed from, to point at.
        loose: Let repetitions repeat what may be empty.

    Raises:
        GrammarError: For a rule that is missing, empty for ever, left-recursive or too large.
    """
    if root not in rules:
        known = ", ".join(list(rules)[:8]) or "none"
        raise GrammarError(f"the grammar has no rule {root!r}; it has: {known}")
    for node in walk(rules.values()):
        if isinstance(node, Ref) and node.name not in rules:
            raise error_at("grammar", text, node.at, f"rule {node.name!r} is not defined")
    _check_size(rules)
    empty = may_be_empty(rules)
    if not loose:
        _check_repeats(rules, empty, text)
    _check_left_recursion(rules, empty, text)
    lengths = shortest(rules)
    for name, rule in rules.items():
        if lengths[rule] == ENDLESS:
            raise error_at(
                "grammar", text, rule.at, f"rule {name!r} never ends: every way leads back into it"
            )


def walk(nodes: Iterable[Node]) -> Iterator[Node]:
    """All nodes, in the order of the text."""
    todo = list(nodes)[::-1]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(reversed(children(node)))


def _upwards(rules: Rules) -> list[Node]:
    """All nodes, each after those it is made of."""
    return list(walk(rules.values()))[::-1]


def may_be_empty(rules: Rules) -> set[Node]:
    """The nodes that match an empty text."""
    found: set[Node] = set()
    nodes = _upwards(rules)

    def is_empty(node: Node) -> bool:
        if isinstance(node, Text):
            return not node.characters
        if isinstance(node, Ref):
            return rules[node.name] in found
        if isinstance(node, Repeat):
            return node.low == 0 or node.item in found
        if isinstance(node, Chain):
            return all(item in found for item in node.items)
        return isinstance(node, Either) and any(option in found for option in node.options)

    size = -1
    while size != len(found):
        size = len(found)
        found.update(node for node in nodes if node not in found and is_empty(node))
    return found


ENDLESS = 1 << 62
"""Length of what has no end."""


def shortest(rules: Rules) -> dict[Node, int]:
    """The length of the shortest text of each node, in characters and tokens."""
    nodes = _upwards(rules)
    found: dict[Node, int] = dict.fromkeys(nodes, ENDLESS)

    def length(node: Node) -> int:
        if isinstance(node, Text):
            return len(node.characters)
        if isinstance(node, (CharSet, TokenRef)):
            return 1
        if isinstance(node, Ref):
            return found[rules[node.name]]
        if isinstance(node, Repeat):
            return found[node.item] * node.low
        if isinstance(node, Chain):
            return sum(found[item] for item in node.items)
        return min((found[option] for option in children(node)), default=0)

    changed = True
    while changed:
        changed = False
        for node in nodes:
            now = min(length(node), ENDLESS)
            if now < found[node]:
                found[node] = now
                changed = True
    return found


def _check_size(rules: Rules) -> None:
    """Count as llama.cpp's parser writes: repetitions at length, groups as rules."""
    sizes: dict[Node, int] = {}
    total = made = 0
    for node in _upwards(rules):
        if isinstance(node, Text):
            sizes[node] = len(node.characters)
        elif isinstance(node, CharSet):
            sizes[node] = 2 * max(1, len(node.ranges))
        elif isinstance(node, Chain):
            sizes[node] = sum(sizes[item] for item in node.items)
        elif isinstance(node, Either):
            sizes[node] = sum(sizes[option] + 1 for option in node.options)
        elif isinstance(node, Repeat):
            # A group became a rule of its own, and what is repeated is a reference to it.
            one = 1 if isinstance(node.item, (Chain, Either)) else sizes[node.item]
            more = 1 if node.high is None else node.high - node.low
            total += (one + 3) * more + sizes[node.item]
            made += more
            sizes[node] = one * node.low + 1
        else:
            sizes[node] = 1
    total += sum(sizes[rule] for rule in rules.values())
    made += len(rules)
    if total > MAX_ELEMENTS or made > MAX_RULES:
        raise GrammarError(
            f"the grammar is too large: {total} elements in {made} rules with its repetitions "
            f"written out; {MAX_ELEMENTS} elements in {MAX_RULES} rules are possible",
            hint="Repeat less often, or repeat smaller rules.",
        )


def _check_repeats(rules: Rules, empty: set[Node], text: str) -> None:
    for node in walk(rules.values()):
        if isinstance(node, Repeat) and node.high is None and node.item in empty:
            raise error_at(
                "grammar", text, node.at, "this repeats without an end what may be empty"
            )


def _check_left_recursion(rules: Rules, empty: set[Node], text: str) -> None:
    """Refuse rules that come to themselves before any character is read."""
    firsts = {name: _first_refs(rule, empty) for name, rule in rules.items()}
    done: set[str] = set()
    for start in rules:
        trail: dict[str, Iterator[Ref]] = {}
        if start not in done:
            trail[start] = iter(firsts[start])
        while trail:
            name = next(reversed(trail))
            ref = next(trail[name], None)
            if ref is None:
                done.add(name)
                del trail[name]
            elif ref.name in trail:
                names = list(trail)
                ring = [*names[names.index(ref.name) :], ref.name]
                raise error_at(
                    "grammar",
                    text,
                    ref.at,
                    f"left recursion: {' → '.join(ring)} before any character is read",
                    "Put what is read first to the left, or use * and +.",
                )
            elif ref.name not in done:
                trail[ref.name] = iter(firsts[ref.name])


def _first_refs(rule: Node, empty: set[Node]) -> list[Ref]:
    """The references that can be met before any character is read."""
    found: list[Ref] = []
    todo = [rule]
    while todo:
        node = todo.pop()
        if isinstance(node, Ref):
            found.append(node)
        elif isinstance(node, Chain):
            for item in node.items:
                todo.append(item)
                if item not in empty:
                    break
        else:
            todo.extend(children(node))
    return found
