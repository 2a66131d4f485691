"""The keywords of JSON schemas: which of them mean something, and what can be done about each."""

from __future__ import annotations

import difflib

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")

OF_OBJECTS = {
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "minProperties",
    "maxProperties",
}
OF_ARRAYS = {"items", "prefixItems", "additionalItems", "minItems", "maxItems"}
OF_STRINGS = {"minLength", "maxLength", "pattern", "format"}
OF_NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
APPLICATORS = ("$ref", "allOf", "anyOf", "oneOf", "const", "enum")
ENFORCED = {"type", *APPLICATORS, *OF_OBJECTS, *OF_ARRAYS, *OF_STRINGS, *OF_NUMBERS}
"""What llguidance enforces, once it is written as it likes it."""

REWRITTEN = {
    "not",
    "propertyNames",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
}
"""What is enforced where it can be said with the others."""

EVALUATING = {
    "additionalProperties",
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "dependentSchemas",
    "dependencies",
}
"""What may evaluate properties beside ``properties`` and ``patternProperties``: where none of these
is, ``unevaluatedProperties`` is what ``additionalProperties`` is."""

NO_EFFECT: dict[str, tuple[object, ...]] = {
    "uniqueItems": (False,),
    "unevaluatedProperties": (True, {}),
    "unevaluatedItems": (True, {}),
    "contains": (),
    "minContains": (),
    "maxContains": (),
    "$dynamicRef": (),
    "$recursiveRef": (),
    "nullable": (False,),
    "divisibleBy": (),
    "disallow": (),
    "extends": (),
    "optional": (),
    "formatMinimum": (),
    "formatMaximum": (),
    "formatExclusiveMinimum": (),
    "formatExclusiveMaximum": (),
    "instanceof": (),
    "regexp": (),
    "uniqueItemProperties": (),
}
"""What is not enforced, with the values that it changes nothing with. The last are of other
languages of schemas, where they do restrict."""

REMARKS = {
    "$schema",
    "$id",
    "id",
    "$anchor",
    "$dynamicAnchor",
    "$recursiveAnchor",
    "$comment",
    "$vocabulary",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentMediaType",
    "contentEncoding",
    "contentSchema",
}
"""What restricts nothing."""

HINTS = {
    "nullable": 'Name the type: {"type": ["string", "null"]}, or anyOf with {"type": "null"}.',
    "divisibleBy": "JSON Schema calls it multipleOf.",
}
WORDS = {"note", "multiple", "constraints", "instances"}
"""Remarks of many, that only look like keywords."""
_INSTEAD = {
    "inclusiveMinimum": "minimum",
    "inclusiveMaximum": "maximum",
    "optionalProperties": "properties",
}
_MEANING = sorted(ENFORCED | REWRITTEN | set(NO_EFFECT))
_ALL = sorted({*_MEANING, *REMARKS})
_ALIKE = 0.84


def meant(key: str) -> str | None:
    """The keyword that a key which is none was probably meant to be, if that would restrict.

    Other unknown keys are remarks, as JSON Schema wants it; so is all that begins with no letter.
    """
    if key.startswith("x-") or not key[:1].isalpha() or key in WORDS:
        return None
    if key in _INSTEAD:
        return _INSTEAD[key]
    plain = key.replace("_", "").replace("-", "").lower()
    for keyword in _ALL:
        if keyword.lower() == plain:
            return keyword if keyword in _MEANING else None
    found = difflib.get_close_matches(key, _ALL, 1, _ALIKE)
    return found[0] if found and found[0] in _MEANING else None
