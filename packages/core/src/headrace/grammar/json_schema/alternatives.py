"""``oneOf``: llguidance has no such thing, only alternatives of which any may be valid.

That is the same where no two of them can be valid at once. It is plain of two with different
types, or with a property that has other values; else llguidance is asked what it makes of both
together. What is not shown in any of these ways gets the opposites of the others, if they can be
said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs

from headrace.grammar import library
from headrace.grammar.json_schema.part import Part
from headrace.grammar.json_schema.values import type_of
from headrace.grammar.sources import HEADER

MAX_BRANCHES = 100
"""Most alternatives that are compared with each other."""
MAX_ASKED = 60
"""Most pairs that llguidance is asked about."""
_DEPTH = 8


@attrs.frozen(eq=False)
class Choice:
    """Alternatives of which exactly one is to be valid."""

    part: Part
    branches: list[Any]
    """As they are written; changed in place."""


def decide(choice: Choice, defs: dict[str, Any]) -> None:
    """See to it that no two alternatives are valid at once.

    Raises:
        GrammarError: If that cannot be had, and all is to be enforced.
    """
    branches, part = choice.branches, choice.part
    if len(branches) > MAX_BRANCHES:
        part.unenforced("oneOf", f"oneOf with more than {MAX_BRANCHES} alternatives")
        return
    pairs = [
        (one, other)
        for other in range(len(branches))
        for one in range(other)
        if not never_both(branches[one], branches[other], defs, _DEPTH)
    ]
    if len(pairs) <= MAX_ASKED:
        pairs = [pair for pair in pairs if not _refuted(pair, branches, defs)]
    if pairs and part.document.strict:
        _exclude(choice, pairs, defs)


def _exclude(choice: Choice, pairs: list[tuple[int, int]], defs: dict[str, Any]) -> None:
    """Let each alternative be valid only where the others that it may meet with are not."""
    part, branches = choice.part, choice.branches
    dead: set[int] = set()
    for pair in pairs:
        opposites = [part.opposite(part.node["oneOf"][index]) for index in pair]
        if None in opposites:
            dead.update(range(len(branches)))
            break
        for here, there, opposite in zip(pair, reversed(pair), reversed(opposites), strict=True):
            excluded = part.below(opposite, "oneOf", str(there))
            if never_both(branches[here], excluded, defs, _DEPTH):
                dead.add(here)
            branches[here] = {"allOf": [branches[here], excluded]}
    if len(dead) == len(branches):
        path = f"oneOf/{max(pairs[0])}"
        part.unenforced(path, "that only one of oneOf is valid, while two may be,")


def never_both(first: Any, second: Any, defs: dict[str, Any], depth: int) -> bool:
    """Whether it is plain that no value is valid under both."""
    if first is False or second is False:
        return True
    if depth == 0 or first is True or second is True:
        return False
    for one, other in ((first, second), (second, first)):
        options = one.get("anyOf")
        if options and all(never_both(each, other, defs, depth - 1) for each in options):
            return True
    ones = list(_conjuncts(first, defs, depth))
    others = list(_conjuncts(second, defs, depth))
    return any(_clash(one, other, defs, depth) for one in ones for other in others)


def _conjuncts(schema: Any, defs: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    """The schemas that all have to be valid for this one to be."""
    if depth == 0 or not isinstance(schema, dict):
        return
    yield schema
    for part in schema.get("allOf", ()):
        yield from _conjuncts(part, defs, depth - 1)
    if "$ref" in schema:
        target = defs.get(schema["$ref"].rpartition("/")[2])
        yield from _conjuncts(target, defs, depth - 1)


def _clash(one: dict[str, Any], other: dict[str, Any], defs: dict[str, Any], depth: int) -> bool:
    values, types = _said(one)
    other_values, other_types = _said(other)
    if values is not None and other_values is not None:
        return values.isdisjoint(other_values)
    if types is not None and other_types is not None and types.isdisjoint(other_types):
        return True
    if types != {"object"} or other_types != {"object"}:
        return False
    return any(
        never_both(_property(one, name), _property(other, name), defs, depth - 1)
        for name in [*one.get("required", ()), *other.get("required", ())]
    )


def _property(schema: dict[str, Any], name: str) -> Any:
    if "patternProperties" in schema:
        return schema.get("properties", {}).get(name, True)
    return schema.get("properties", {}).get(name, schema.get("additionalProperties", True))


def _said(schema: dict[str, Any]) -> tuple[set[str] | None, set[str] | None]:
    """The values that it enumerates, and the types that it leaves; a whole number has two."""
    values = schema.get("enum")
    types: set[str] | None = None
    named = schema.get("type")
    if named is not None:
        types = set(named if isinstance(named, list) else [named])
        types |= {"integer"} if "number" in types else set()
    if values is None:
        return None, types
    found = {json.dumps(value, sort_keys=True) for value in values}
    kinds = set().union(*(type_of(value) for value in values))
    return found, kinds if types is None else kinds & types


def _refuted(pair: tuple[int, int], branches: list[Any], defs: dict[str, Any]) -> bool:
    """Whether llguidance finds nothing that is valid under both."""
    both = {"allOf": [branches[each] for each in pair], "$defs": defs}
    reason = library.refusal(f"{HEADER}start: %json {json.dumps(both)}\n")
    return reason is not None and "Unsatisfiable" in reason
