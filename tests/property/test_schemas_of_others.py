"""Schemas and instances that others make judge ``JsonSchema``: hypothesis-jsonschema makes both."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis_jsonschema import from_schema

from headrace import GrammarError, JsonSchema
from tests.support import judging, schemata
from tests.support.taking import following

DRAFT = {"$schema": "http://json-schema.org/draft-07/schema#"}
SCALARS = frozenset(
    ["type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
     "minLength", "maxLength", "pattern", "format", "enum", "const", "anyOf", "allOf"]
)  # fmt: skip
OBJECTS = frozenset(
    ["type", "properties", "required", "additionalProperties", "patternProperties",
     "propertyNames", "minProperties", "maxProperties", "dependencies", "minLength", "pattern",
     "minimum", "enum"]
)  # fmt: skip
ARRAYS = frozenset(
    ["type", "items", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains",
     "maximum", "maxLength", "const"]
)  # fmt: skip
LOGIC = frozenset(
    ["type", "anyOf", "allOf", "oneOf", "not", "if", "then", "else", "enum", "const", "minimum",
     "maxLength", "required", "properties", "items"]
)  # fmt: skip
KINDS = {"scalars": SCALARS, "objects": OBJECTS, "arrays": ARRAYS, "logic": LOGIC, "all": None}
UNHURRIED = settings(
    max_examples=-(-settings().max_examples // 3),  # of each kind
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    deadline=None,
)


def grammar_of(schema: dict[str, Any]) -> Any:
    """What follows a schema's grammar; no example where it has none."""
    found, refused = None, None
    try:
        found = following(JsonSchema({**DRAFT, **schema}))
    except GrammarError as error:
        refused = error
    assert refused is None or (refused.path or "").startswith("#")
    assume(found is not None)
    return found


def is_read_alike(schema: dict[str, Any], instance: Any) -> bool:
    """Whether classes of a pattern cannot matter: ECMA-262's are of ASCII, jsonschema's are not."""
    has_classes = re.search(r"\\\\[dDwWsSbB]", json.dumps(schema)) is not None
    return not has_classes or json.dumps(instance, ensure_ascii=False).isascii()


def is_valid(schema: dict[str, Any], instance: Any) -> bool:
    """Under draft 7, with the formats of later drafts, which are kept to as well."""
    formats = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft7Validator(schema, format_checker=formats).is_valid(instance)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_is_valid(kind: str) -> None:
    """A schema is refused, with a place, or every text is valid under it."""

    @UNHURRIED
    @given(schemata.schemas(1, KINDS[kind]), st.integers(0, 99))
    def judge(schema: dict[str, Any], seed: int) -> None:
        text = judging.drawn(grammar_of(schema), seed)
        assume(text is not None)
        instance = json.loads(text or "")
        assume(is_read_alike(schema, instance))
        assert is_valid(schema, instance)

    judge()


def instance_of(schema: dict[str, Any], data: st.DataObject) -> Any:
    """What is made from the schema alone; a schema that nothing is made from is passed over."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of patterns and formats that it cannot make
        try:
            instances = from_schema(schema)
            assume(not instances.is_empty)
            return data.draw(instances)
        except InvalidArgument:  # of a string that must be longer than it may be
            reject()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_valid_is_taken(kind: str) -> None:
    """Instances that are not made from a grammar, in some order of their properties."""

    @UNHURRIED
    @given(schemata.schemas(1, KINDS[kind]), st.data())
    def judge(schema: dict[str, Any], data: st.DataObject) -> None:
        grammar = grammar_of(schema)
        instance = instance_of(schema, data)
        assume(is_valid(schema, instance) and not judging.has_controls(instance))
        assume(is_read_alike(schema, instance))
        assert judging.written(grammar, instance) is not None

    judge()
