"""Grammars drawn by chance: small, ambiguous, recursive in every way that is allowed."""

from __future__ import annotations

import random

from headrace import Gbnf, GrammarError

_SETS = ("[ab]", "[^a]", "[a]", "[b]", ".")
_TIMES = ("*", "+", "?", "{2}", "{0,2}", "{1,3}")


def grammar(seed: int) -> Gbnf:
    """The first one from a seed on that is one; over a and b mostly."""
    draw = random.Random(seed)
    while True:
        names = ["root", "r-one", "R2"][: draw.randint(1, 3)]
        text = "\n".join(f"{name} ::= {_either(draw, 2, names)}" for name in names)
        try:
            return Gbnf(text, loose=True)
        except GrammarError:
            continue


def _either(draw: random.Random, depth: int, names: list[str]) -> str:
    options = (
        " ".join(_item(draw, depth, names) for _ in range(draw.randint(1, 3)))
        for _ in range(draw.randint(1, 3))
    )
    return " | ".join(options)


def _item(draw: random.Random, depth: int, names: list[str]) -> str:
    kind = draw.choice(
        ("text", "text", "text", "set", *(("name", "group", "times") * 3)[: depth * 9])
    )
    if kind == "text":
        return '"' + "".join(draw.choices("ab", k=draw.randint(0, 3))) + '"'
    if kind == "set":
        return draw.choice(_SETS)
    if kind == "name":
        return draw.choice(names)
    group = f"({_either(draw, depth - 1, names)})"
    return group + draw.choice(_TIMES) if kind == "times" else group
