"""The rules of several grammars beside each other."""

from __future__ import annotations

import attrs

from headrace.grammar.checks import walk
from headrace.grammar.nodes import Chain, Either, First, Node, Ref, Repeat, Rules, Whole, children


def renamed(start: Node, rules: Rules, prefix: str) -> tuple[Node, dict[str, Node]]:
    """A grammar whose rules all have another name."""
    named = {f"{prefix}>{name}": _renamed(rule, prefix) for name, rule in rules.items()}
    return _renamed(start, prefix), named


def _renamed(root: Node, prefix: str) -> Node:
    made: dict[Node, Node] = {}
    for node in reversed(list(walk([root]))):
        inner = tuple(made[child] for child in children(node))
        if isinstance(node, Ref):
            made[node] = Ref(f"{prefix}>{node.name}", node.at)
        elif isinstance(node, Chain):
            made[node] = Chain(inner, node.at)
        elif isinstance(node, Either):
            made[node] = Either(inner, node.at)
        elif isinstance(node, (Repeat, Whole, First)):
            made[node] = attrs.evolve(node, item=inner[0])
        else:
            made[node] = node
    return made[root]
