"""Schemas that only endless values are valid under: they are valid for nothing.

Whatever contains itself in all of its alternatives does so through a reference. llguidance does not
notice; a generation would open one bracket after the other until its budget is spent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def endless(defs: dict[str, Any]) -> set[str]:
    """The names of those referred to that no value of finite size is valid under."""
    left = dict(defs)
    users: dict[str, set[str]] = {}
    for name, schema in defs.items():
        for wanted in _references(schema):
            users.setdefault(wanted, set()).add(name)
    waiting = set(defs)
    while waiting:
        name = waiting.pop()
        if name in left and _ends(left[name], left):
            del left[name]
            waiting |= users.get(name, set())
    return set(left)


def _references(schema: Any) -> Iterator[str]:
    """The names that a schema refers to."""
    waiting = [schema]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            waiting += each.values()
            if isinstance(each.get("$ref"), str):
                yield each["$ref"].rpartition("/")[2]


def ends(schema: Any, without: set[str]) -> bool:
    """Whether a value of finite size may be valid, when some of those referred to have none."""
    return _ends(schema, dict.fromkeys(without))


def _ends(schema: Any, unknown: dict[str, Any]) -> bool:
    """Whether it has a value without those of which it is not known."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema and schema["$ref"].rpartition("/")[2] in unknown:
        return False
    if not all(_ends(part, unknown) for part in schema.get("allOf", ())):
        return False
    options = schema.get("anyOf")
    if options is not None and not any(_ends(part, unknown) for part in options):
        return False
    named = schema.get("type", "null")
    kinds = named if isinstance(named, list) else [named]
    return any(_ends_as(kind, schema, unknown) for kind in kinds)


def _ends_as(kind: str, schema: dict[str, Any], unknown: dict[str, Any]) -> bool:
    if kind == "object":
        properties, extra = schema.get("properties", {}), schema.get("additionalProperties", True)
        wanted = [properties.get(name, extra) for name in schema.get("required", ())]
        if "patternProperties" in schema:
            wanted = [properties.get(name, True) for name in schema.get("required", ())]
        return all(_ends(part, unknown) for part in wanted)
    if kind == "array":
        low = schema.get("minItems", 0)
        wanted = schema.get("prefixItems", [])[:low]
        if low > len(wanted):
            wanted = [*wanted, schema.get("items", True)]
        return all(_ends(part, unknown) for part in wanted)
    return True
