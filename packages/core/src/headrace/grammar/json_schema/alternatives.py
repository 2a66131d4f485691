"""``oneOf``: llguidance has no such thing, only alternatives of which any may be valid.

That is the same where no two of them can be valid at once. It is plain of two with different
types, or with a property that has other values; else llguidance is asked what it makes of both
together. In both cases what else the schema says that they stand in counts too. What is not shown
in any of these ways gets the opposites of the others, if they can be said.
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
MAX_STEPS = 50_000
"""Most pairs of schemas that are looked at, those within the alternatives included."""
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
    around = {key: value for key, value in part.out.items() if key != "anyOf"}
    compared = _Compared(defs, around)
    pairs = [
        (one, other)
        for other in range(len(branches))
        for one in range(other)
        if not compared.never_both(branches[one], branches[other])
    ]
    if len(pairs) <= MAX_ASKED:
        pairs = [pair for pair in pairs if not compared.refuted([branches[each] for each in pair])]
    if pairs and part.document.strict:
        _exclude(choice, pairs, compared)


def _exclude(choice: Choice, pairs: list[tuple[int, int]], compared: _Compared) -> None:
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
            if compared.never_both(branches[here], excluded):
                dead.add(here)
            branches[here] = {"allOf": [branches[here], excluded]}
    if len(dead) == len(branches):
        path = f"oneOf/{max(pairs[0])}"
        part.unenforced(path, "that only one of oneOf is valid, while two may be,")


class _Compared:
    """Pairs of schemas, where a third one has to be valid as well.

    Args:
        defs: What they refer to.
        around: The third.
    """

    def __init__(self, defs: dict[str, Any], around: dict[str, Any]) -> None:
        self._defs = defs
        self._around = around
        self._steps = MAX_STEPS

    def refuted(self, pair: list[Any]) -> bool:
        """Whether llguidance finds nothing that is valid under both."""
        both = {"allOf": [self._around, *pair], "$defs": self._defs}
        reason = library.refusal(f"{HEADER}start: %json {json.dumps(both)}\n")
        return reason is not None and "Unsatisfiable" in reason

    def never_both(self, first: Any, second: Any) -> bool:
        """Whether it is plain that no value is valid under both."""
        return self._never(first, second, self._around, _DEPTH)

    def _never(self, first: Any, second: Any, around: Any, depth: int) -> bool:
        self._steps -= 1
        if first is False or second is False or around is False:
            return True
        if depth == 0 or self._steps < 0 or first is True or second is True:
            return False
        for one, other in ((first, second), (second, first)):
            options = one.get("anyOf")
            if options and all(self._never(each, other, around, depth - 1) for each in options):
                return True
        ones, others, more = (
            list(self._conjuncts(each, depth)) for each in (first, second, around)
        )
        every = [*ones, *others, *more]
        said = [_said(each) for each in every]
        values = [each for each, _ in said if each is not None]
        types = [each for _, each in said if each is not None]
        if len(values) > 1 and not set.intersection(*values):
            return True
        if types and not set.intersection(*types):
            return True
        if not types or set.intersection(*types) != {"object"}:
            return False
        names = dict.fromkeys(name for each in every for name in each.get("required", ()))
        return any(
            self._never(_property(one, name), _property(other, name), True, depth - 1)
            for name in names
            for one in [*ones, *more]
            for other in [*others, *more]
            if one is not other
        )

    def _conjuncts(self, schema: Any, depth: int) -> Iterator[dict[str, Any]]:
        """The schemas that all have to be valid for this one to be."""
        if depth == 0 or not isinstance(schema, dict):
            return
        yield schema
        for part in schema.get("allOf", ()):
            yield from self._conjuncts(part, depth - 1)
        if "$ref" in schema:
            target = self._defs.get(schema["$ref"].rpartition("/")[2])
            yield from self._conjuncts(target, depth - 1)


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
