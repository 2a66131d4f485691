"""The opposite of a schema, for ``not``, ``if`` and ``oneOf``: where it can be said without them.

What comes of it may allow less than all that the schema forbids, and never more.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from headrace.grammar.json_schema.keywords import ENFORCED, NO_EFFECT, REWRITTEN, TYPES
from headrace.grammar.json_schema.numbers import MAX_INTEGER

MAX_EXCLUDED = 200
"""Most characters of all texts that a string must not be."""

_MEANING = ENFORCED | REWRITTEN | set(NO_EFFECT)


@attrs.frozen
class NotIn:
    """A schema of our own: a string that is none of some."""

    texts: tuple[str, ...]


def negated(node: Any, resolved: Callable[[Any], Any], depth: int = 0) -> Any:
    """A schema that is valid only where another is not; None: there is none, or it is too large.

    Args:
        node: The other.
        resolved: What a schema with nothing but a reference leads to; None: it cannot be told.
        depth: How many schemas it is within.
    """
    if depth > 8:
        return None
    if isinstance(node, bool):
        return not node
    if not isinstance(node, dict):
        return None
    keys = _MEANING & node.keys()
    if not keys:
        return False

    def each(schemas: Any) -> list[Any] | None:
        if not isinstance(schemas, list) or not schemas:
            return None
        found = [negated(schema, resolved, depth + 1) for schema in schemas]
        return None if None in found else found

    if keys == {"not"}:
        return node["not"]
    if keys == {"$ref"}:
        target = resolved(node)
        return None if target is None else negated(target, resolved, depth + 1)
    for key, opposite in (("anyOf", "allOf"), ("allOf", "anyOf")):
        if keys == {key}:
            parts = each(node[key])
            return None if parts is None else {opposite: parts}
    if keys in ({"const"}, {"enum"}, {"type", "const"}, {"type", "enum"}):
        return _other_values(node)
    if keys <= {"type", "required", "properties"}:
        return _other_objects(node, resolved, depth)
    return None


def _types(node: dict[str, Any]) -> list[str] | None:
    named = node.get("type", list(TYPES))
    kinds = named if isinstance(named, list) else [named]
    return kinds if all(kind in TYPES for kind in kinds) else None


def _other_types(kinds: list[str]) -> Any:
    taken = {*kinds, *(["number", "integer"] if {"number", "integer"} & set(kinds) else [])}
    left = [kind for kind in TYPES if kind not in taken]
    return {"type": left} if left else False


def _other_objects(node: dict[str, Any], resolved: Callable[[Any], Any], depth: int) -> Any:
    kinds = _types(node)
    required, properties = node.get("required", []), node.get("properties", {})
    if kinds is None or not isinstance(required, list) or not isinstance(properties, dict):
        return None
    options = [_other_types(kinds)] if "type" in node else []
    if "object" in kinds:
        for name in required:
            options.append({"type": "object", "properties": {name: False}})
        for name, part in properties.items():
            opposite = negated(part, resolved, depth + 1)
            if opposite is None:
                return None
            there = {"properties": {name: opposite}, "required": [name]}
            options.append({"type": "object", **there})
    options = [option for option in options if option is not False]
    return {"anyOf": options} if options else False


def _other_values(node: dict[str, Any]) -> Any:
    values = [node["const"]] if "const" in node else node["enum"]
    kinds = _types(node)
    if not isinstance(values, list) or kinds is None:
        return None
    options: list[Any] = [_other_types(kinds)] if "type" in node else []
    texts = tuple(value for value in values if isinstance(value, str))
    if sum(map(len, texts)) > MAX_EXCLUDED or len(values) > MAX_EXCLUDED:
        return None
    if "string" in kinds:
        options.append(NotIn(texts))
    if "boolean" in kinds:
        left = [each for each in (True, False) if not any(each is value for value in values)]
        options.append({"enum": left} if left else False)
    if "null" in kinds and None not in values:
        options.append({"type": "null"})
    if {"integer", "number"} & set(kinds):
        options += _between([value for value in values if _is_number(value)], "number" in kinds)
    for kind, of in (("object", dict), ("array", list)):
        if kind in kinds and not any(isinstance(value, of) for value in values):
            options.append({"type": kind})
    options = [option for option in options if option is not False]
    return {"anyOf": options} if options else False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _between(values: list[Any], fractions: bool) -> list[Any]:
    """The numbers that are none of some: whole ones, if any are left out."""
    if not values:
        return [{"type": "number" if fractions else "integer"}]
    wholes = sorted({value for value in values if isinstance(value, int)})
    if any(abs(value) >= MAX_INTEGER for value in wholes) or len(wholes) > 8:
        return []
    found: list[Any] = []
    low: dict[str, Any] = {}
    for value in wholes:
        found.append({"type": "integer", **low, "maximum": value - 1})
        low = {"minimum": value + 1}
    return [*found, {"type": "integer", **low}]
