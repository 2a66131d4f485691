"""JSON schemas: what becomes of them, and how an error names the place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace import GrammarError, JsonSchema
from tests.support.taking import takes

NULL = {"type": "null"}
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer", "minimum": 0, "maximum": 9},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
        }
    },
    "$ref": "#/$defs/node",
}


def fits(text: str, schema: Any) -> bool:
    """Whether all of the text matches."""
    return takes(JsonSchema(schema), text)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (True, ["1", '{"a": [1, null]}', '"\\u00e9\\n"'], ["", "{a:1}", "01", "[1,]"]),
        ({"type": "integer", "minimum": -12, "maximum": 105}, ["-12", "0", "105"], ["-13", "106"]),
        ({"type": "integer", "exclusiveMinimum": 3}, ["4", "10", "1000"], ["3", "0", "-4"]),
        ({"type": "integer", "exclusiveMaximum": -3}, ["-4", "-10"], ["-3", "0"]),
        ({"type": "number", "minimum": 0.5, "maximum": 1}, ["0.500", "1", "0.999"], ["0.4", "1.1"]),
        ({"type": "number", "minimum": -1.5}, ["-1.5", "-1", "7"], ["-1.501", "-2"]),
        ({"type": "string", "maxLength": 2}, ['""', '"é😀"', '"\\n\\""'], ['"abc"', "ab"]),
        ({"type": "string", "minLength": 2}, ['"ab"', '"abc"'], ['"a"', '""']),
        ({"type": "string", "pattern": "^[a-c]+$"}, ['"abc"'], ['""', '"abd"']),
        ({"type": "string", "pattern": "b"}, ['"abc"', '"b"'], ['"ac"']),
        ({"type": "string", "pattern": '^["\\\\]$'}, ['"\\""', '"\\\\"'], ['"""', '"\\"']),
        ({"type": "string", "format": "date"}, ['"2024-02-28"'], ['"2024-02-30"', '"x"']),
        ({"enum": ["a", 1, None, {"b": [True]}]}, ['"a"', "1", "null", '{"b":[true]}'], ['"b"']),
        ({"const": 'say "é"'}, ['"say \\"é\\""'], ["say"]),
        ({"type": ["string", "null"], "enum": ["a", 1, None]}, ['"a"', "null"], ["1"]),
        ({"type": "array", "items": NULL, "maxItems": 1}, ["[]", "[ null ]"], ["[null,null]"]),
        ({"type": "array", "items": {"type": "null"}, "minItems": 2}, ["[null,null]"], ["[null]"]),
        ({"prefixItems": [{"type": "null"}, {"type": "boolean"}]}, ["[null,true]"], ["[true]"]),
        ({"type": "object", "properties": {"a": NULL, "b": NULL}, "required": ["b"]},
         ['{"b":null}', '{"a": null, "b": null}'], ["{}", '{"a":null}', '{"b":null,}']),
        ({"type": "object", "properties": {"ab": True}, "additionalProperties": {"type": "null"}},
         ["{}", '{"ab": 1, "a": null, "abc": null}'], ['{"ab": 1, "ab": null}', '{"x": 1}']),
        ({"type": "object", "additionalProperties": False}, ["{}"], ['{"a":1}']),
        ({"required": ["x"]}, ['{"x":[1]}'], ["{}"]),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, ["null", "true"], ["1"]),
        ({"oneOf": [{"type": "null"}, {"type": "boolean"}]}, ["null", "true"], ["1"]),
        ({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 5}]}, ["3", "5"], ["2", "6"]),
        (TREE, ['{"value":1,"next":{"value": 2, "next": null}}'], ['{"value":1}']),
    ],
)  # fmt: skip
def test_what_a_schema_allows(schema: Any, good: list[str], bad: list[str]) -> None:
    """Valid JSON in the order of the schema, and nothing else."""
    assert [text for text in good if not fits(text, schema)] == []
    assert [text for text in bad if fits(text, schema)] == []


@pytest.mark.parametrize(
    ("schema", "path", "words"),
    [
        ({"type": "strnig"}, "#/type", "must be one of"),
        ({"properties": {"a": {"type": 5}}}, "#/properties/a/type", "must be one of"),
        ({"properties": {"a/b": 5}}, "#/properties/a~1b", "object or a bool"),
        ({"$ref": "#/$defs/none"}, "#/$ref", "there is no"),
        ({"items": {"$ref": "http://x"}}, "#/items/$ref", "only references"),
        ({"$ref": "#"}, "#", "never ends"),
        ({"allOf": [{"$ref": "#"}]}, "#", "never ends"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "#", "no integer"),
        ({"type": "integer", "minimum": "5"}, "#/minimum", "must be a number"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "#/maxLength", "less than"),
        ({"type": "string", "minLength": -1}, "#/minLength", "whole number"),
        ({"type": "string", "minLength": 3_000_000}, "#/minLength", "1000000"),
        ({"type": "string", "pattern": "(?!a)"}, "#/pattern", "lookahead"),
        ({"type": "string", "pattern": "a(?=b)"}, "#/pattern", "lookahead"),
        ({"type": "string", "pattern": "a^b"}, "#/pattern", "ends of the pattern"),
        ({"type": "number", "multipleOf": 1e-11}, "#/multipleOf", "multipleOf"),
        ({"type": "number", "multipleOf": 0}, "#/multipleOf", "more than 0"),
        ({"items": {"uniqueItems": True}}, "#/items/uniqueItems", "uniqueItems"),
        ({"not": {"pattern": "a"}}, "#/not", "not"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "#/oneOf/1", "oneOf"),
        ({"anyOf": []}, "#/anyOf", "non-empty"),
        ({"required": "a"}, "#/required", "names"),
        ({"allOf": [{"enum": [1]}, {"enum": [2]}]}, "#", "nothing that"),
        (
            {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
            "#",
            "never ends",
        ),
    ],
)
def test_an_error_names_the_place_in_the_schema(schema: Any, path: str, words: str) -> None:
    """As a JSON pointer, with the keyword."""
    with pytest.raises(GrammarError, match=words) as caught:
        JsonSchema(schema)
    assert caught.value.path is not None
    assert caught.value.path.startswith(path)


@pytest.mark.parametrize("schema", [5, None, [1], "{", "[]", {"a": {1, 2}}, {"a": float("nan")}])
def test_what_is_no_schema(schema: Any) -> None:
    """Neither JSON text nor an object."""
    with pytest.raises(GrammarError):
        JsonSchema(schema)


def test_what_is_not_enforced_can_be_passed_over() -> None:
    """With strict=False the rest of the schema is kept to."""
    schema = {"type": "array", "uniqueItems": True, "maxItems": 2}
    loose = JsonSchema(schema, strict=False)
    assert takes(loose, "[4, 4]")
    assert not takes(loose, "[4, 4, 4]")


def test_schemas_that_would_never_end_are_refused() -> None:
    """Depth, and references that double at every level."""
    deep: Any = True
    for _ in range(100):
        deep = {"items": deep}
    with pytest.raises(GrammarError, match="within each other"):
        JsonSchema(deep)
    with pytest.raises(GrammarError):
        JsonSchema("[" * 100_000)
    twice = {"type": "object", "$ref": "#/$defs/d0"}
    both = {
        f"d{i}": {"properties": {k: {"type": "object", "$ref": f"#/$defs/d{i + 1}"} for k in "xy"}}
        for i in range(40)
    }
    with pytest.raises(GrammarError, match="more than 20000 schemas"):
        JsonSchema({**twice, "$defs": {**both, "d40": {}}})


def test_a_schema_is_a_value() -> None:
    """Kept as text, so that what a caller does to the dict changes nothing."""
    schema = {"type": "null"}
    one = JsonSchema(schema)
    schema["type"] = "string"
    assert json.loads(one.schema) == {"type": "null"}
    assert one == JsonSchema('{"type": "null"}')
    assert hash(one) == hash(JsonSchema({"type": "null"}))
