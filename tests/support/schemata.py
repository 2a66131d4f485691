"""Schemas as the metaschema of JSON Schema allows them, made by hypothesis-jsonschema.

None of the shapes is thought out here: the metaschema is that of draft 7, with its recursion
written out to a depth, and with values that are small enough for texts under them to end.
"""

from __future__ import annotations

import functools
import types
from typing import Any

import hypothesis_jsonschema._from_schema as maker
import jsonschema
from hypothesis import strategies as st
from hypothesis.internal.conjecture import utils
from hypothesis_jsonschema import from_schema


class _Many:
    """Hypothesis's own loop over elements, asked as hypothesis-jsonschema 0.23 asks it."""

    def __init__(self, data: Any, **sizes: Any) -> None:
        self._many = utils.many(data, **sizes)
        self._many.__enter__()
        self._elements = iter(self._many)

    def more(self) -> bool:
        """Whether there is one more."""
        for _ in self._elements:
            return True
        self._many.__exit__(None, None, None)
        return False

    def reject(self) -> None:
        """Do not count this one."""
        self._many.reject()


if not hasattr(utils.many, "more"):  # Hypothesis 6.160 and later
    maker.cu = types.SimpleNamespace(many=_Many)

_SMALL = {"type": "integer", "minimum": 0, "maximum": 4}
_NUMBER = {"type": "integer", "minimum": -20, "maximum": 20}
_NAME = {"enum": ["a", "b", "ab", 'q"', "é"]}
_VALUE = {
    "anyOf": [{"type": ["null", "boolean"]}, _NUMBER, _NAME, {"type": "array", "items": _NUMBER}]
}
_PATTERN = {"enum": ["^a", "b$", "^[a-c]{1,3}$", "^(ab|\\d)*$", "^\\S+$", "a"]}
_NAMES = {"type": "array", "items": _NAME, "uniqueItems": True, "maxItems": 2}
_BOUNDS = ("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum")
_SIZES = (
    "maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties",
)  # fmt: skip
_VALUES: dict[str, Any] = {
    **dict.fromkeys(_BOUNDS, _NUMBER),
    **dict.fromkeys(_SIZES, _SMALL),
    "multipleOf": {"type": "integer", "minimum": 1, "maximum": 5},
    "pattern": _PATTERN,
    "format": {"enum": ["date", "time", "date-time", "email", "ipv4", "ipv6", "uuid"]},
    "const": _VALUE,
    "enum": {"type": "array", "items": _VALUE, "minItems": 1, "maxItems": 4},
    "required": {"type": "array", "items": _NAME, "uniqueItems": True, "maxItems": 3},
    "uniqueItems": {"type": "boolean"},
}
"""What is written instead of the metaschema's own rule, so that values stay small."""
_LEFT_OUT = frozenset(
    ["$id", "$schema", "$ref", "$comment", "default", "readOnly", "examples", "definitions",
     "contentMediaType", "contentEncoding", "title", "description"]
)  # fmt: skip


def metaschema(depth: int, keywords: frozenset[str] | None = None) -> dict[str, Any]:
    """The metaschema, with so many levels of schemas in schemas.

    Args:
        depth: 0: no keyword that has schemas.
        keywords: Those that may be there; None: all.
    """
    rules = jsonschema.Draft7Validator.META_SCHEMA["properties"]
    inner: Any = metaschema(depth - 1, keywords) if depth else None
    properties: dict[str, Any] = {}
    for keyword, rule in rules.items():
        if keyword in _LEFT_OUT or (keywords is not None and keyword not in keywords):
            continue
        made = _VALUES.get(keyword) or _unrolled(rule, inner)
        if made is not None:
            properties[keyword] = made
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "maxProperties": 4,
        "required": ["type"] if not depth else [],
    }


def _unrolled(rule: Any, inner: Any) -> Any:
    """A rule with the next level where it refers to the whole; None where there is none."""
    text = str(rule)
    if "'#'" not in text and "schemaArray" not in text:
        types = {"enum": ["array", "boolean", "integer", "null", "number", "object", "string"]}
        return types if "simpleTypes" in text else rule
    if inner is None:
        return None
    if rule == {"$ref": "#"}:
        return {"anyOf": [inner, {"type": "boolean"}]}
    if "additionalProperties" in rule:
        names = _PATTERN if "propertyNames" in rule else _NAME
        value = {"anyOf": [inner, _NAMES]} if "stringArray" in text else inner
        return {
            "type": "object", "propertyNames": names, "additionalProperties": value,
            "maxProperties": 3,
        }  # fmt: skip
    several = {"type": "array", "items": inner, "minItems": 1, "maxItems": 3}
    return {"anyOf": [inner, several]} if "anyOf" in rule else several


@functools.cache
def schemas(depth: int = 2, keywords: frozenset[str] | None = None) -> st.SearchStrategy[Any]:
    """Schemas of a depth."""
    return from_schema(metaschema(depth, keywords))
