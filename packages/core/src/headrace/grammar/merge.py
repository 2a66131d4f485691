"""Two JSON schemas that hold at the same time, as one; and two that never do."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

Schema = dict[str, Any]
NUMBER = "number"


def types_of(schema: Schema) -> set[str] | None:
    """The types that a schema names; None: it names none. What can be no type is left out."""
    named = schema.get("type")
    if named is None:
        return None
    return {kind for kind in (named if isinstance(named, list) else [named]) if _is_name(kind)}


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def merge(first: Any, second: Any, refuse: Callable[[str], Exception]) -> Any:
    """A schema for what both allow.

    Args:
        first: A schema.
        second: Another.
        refuse: Makes the error for a keyword that cannot be merged.
    """
    if isinstance(first, bool) or isinstance(second, bool):
        if first is False or second is False:
            return False
        return second if first is True else first
    merged = dict(first)
    for key, value in second.items():
        merged[key] = (
            _merged(key, merged[key], value, refuse)
            if key in merged and merged[key] != value
            else value
        )
    for closed, other in ((first, second), (second, first)):
        if closed.get("additionalProperties", True) is not True:
            unknown = set(other.get("properties", {})) - set(closed.get("properties", {}))
            if unknown:
                raise refuse("additionalProperties")
    return merged


def _merged(key: str, first: Any, second: Any, refuse: Callable[[str], Exception]) -> Any:
    if key in _REMARKS:
        return first
    if key == "type":
        return sorted(_common_types(first, second))
    if key in {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}:
        return max(first, second, key=_decimal)
    if key in {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}:
        return min(first, second, key=_decimal)
    if key == "required":
        return [*first, *(name for name in second if name not in first)]
    if key == "enum":
        return [value for value in first if any(same(value, other) for other in second)]
    if key in {"$defs", "definitions"}:
        return {**first, **second}
    if key == "properties":
        both = {name: merge(first[name], second[name], refuse) for name in first if name in second}
        return {**first, **second, **both}
    if key in {"items", "additionalProperties"} and not isinstance(first, list):
        return merge(first, second, refuse)
    raise refuse(key)


_REMARKS = {"title", "description", "default", "examples", "$comment", "$schema", "$id", "format"}


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))


def _common_types(first: Any, second: Any) -> set[str]:
    one, other = types_of({"type": first}) or set(), types_of({"type": second}) or set()
    common = one & other
    if ("number" in one and "integer" in other) or ("number" in other and "integer" in one):
        common.add("integer")
    return common


def same(first: Any, second: Any) -> bool:
    """Whether two JSON values are equal: to Python, ``True`` is 1."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    return bool(first == second)


def never_both(first: Any, second: Any) -> bool:
    """Whether it is plain that no value is valid under both: by type, or by a constant."""
    try:
        return _never_both(first, second)
    except (TypeError, AttributeError):
        return False  # one of them is no schema, which whoever converts it will say


def _never_both(first: Any, second: Any) -> bool:
    if not isinstance(first, dict) or not isinstance(second, dict):
        return first is False or second is False
    one, other = constants(first), constants(second)
    if one is not None and other is not None:
        return not any(same(value, each) for value in one for each in other)
    kinds, other_kinds = types_of(first), types_of(second)
    if kinds and other_kinds and not _common_types(list(kinds), list(other_kinds)):
        return True
    if kinds != {"object"} or other_kinds != {"object"}:
        return False
    required = set(first.get("required", ())) & set(second.get("required", ()))
    return any(
        never_both(first.get("properties", {}).get(name, True), part)
        for name in required
        if isinstance(part := second.get("properties", {}).get(name, True), dict)
    )


def constants(schema: Schema) -> list[Any] | None:
    """The values that a schema enumerates; None if it does not."""
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None
