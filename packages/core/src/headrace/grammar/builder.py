"""Short names for making nodes."""

from __future__ import annotations

from headrace.grammar.nodes import Chain, Either, Node, Repeat, Text


def seq(*items: Node | str) -> Node:
    """One after the other; a str stands for its text."""
    nodes: list[Node] = []
    for item in items:
        node = Text(item) if isinstance(item, str) else item
        nodes.extend(node.items if isinstance(node, Chain) else (node,))
    return nodes[0] if len(nodes) == 1 else Chain(tuple(nodes))


def either(*options: Node | str) -> Node:
    """One of several."""
    nodes = tuple(Text(option) if isinstance(option, str) else option for option in options)
    return nodes[0] if len(nodes) == 1 else Either(nodes)


def times(item: Node, low: int, high: int | None) -> Node:
    """The same several times."""
    if high == 0:
        return Chain(())
    return item if low == high == 1 else Repeat(item, low, high)
