"""What llguidance would pass over or misunderstand in a schema: each with its right outcome."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import GrammarError, JsonSchema
from tests.support.taking import following, takes, texts

OBJECT = {"type": "object"}
CLOSED = {**OBJECT, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        # Required names that properties does not have.
        ({**OBJECT, "properties": {"a": {"type": "null"}}, "required": ["b"]},
         ['{"b":1}', '{"a":null,"b":1}'], ["{}", '{"a":null}']),
        # Bounds that no float is.
        ({"type": "integer", "minimum": 2**53 + 1}, [str(2**53 + 2)], [str(2**53), str(2**53 + 1)]),
        ({"type": "integer", "maximum": 2**63 - 1}, ["5", str(2**62)], [str(2**63), "9" * 20]),
        ({"type": "integer", "maximum": 2**64 - 1}, ["5", str(2**62)], [str(2**64)]),
        ({"type": "integer", "minimum": -(2**63)}, ["-5", str(-(2**62))], [str(-(2**63) - 1)]),
        ({"type": "integer", "minimum": 2**62}, [str(2**62)], [str(2**62 - 1), "5"]),
        ({"type": "number", "maximum": 1e300}, ["5.5"], ["1" + "0" * 301, "9e305"]),
        ({"type": "number", "minimum": 0.1}, ["0.1", "0.11"], ["0.09999999999999999", "0.0999"]),
        ('{"type": "number", "minimum": 0.10000000000000000001}', ["0.11"], ["0.1", "0.10"]),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.01}, ["0.005"], ["0", "0.0", "-0"]),
        ('{"type": "number", "exclusiveMinimum": 10000000000000, "maximum": 10000000000000.5}',
         ["10000000000000.2"], ["10000000000000", "10000000000000.0"]),
        ({"type": "number", "minimum": -1.5, "exclusiveMaximum": -1}, ["-1.2"], ["-1", "-1.0"]),
        ({"type": "number", "minimum": -0.5, "exclusiveMaximum": 0}, ["-0.2"], ["0", "-0", "-0.0"]),
        ({"type": "number", "multipleOf": 1}, ["3", "-7"], ["0.5", "1e-1"]),
        ({"type": "number", "multipleOf": 0.25}, ["0.25", "1.25", "2"], ["0.2", "1e-1"]),
        ({"const": 9007199254740994}, ["9007199254740994"], ["9007199254740993"]),
        ({"enum": [9007199254740993, 1.0, -0.0]}, ["1", "0"], ["9007199254740992"]),
        ({"type": ["number", "null"], "maximum": 2**53, "exclusiveMinimum": 2**53},
         ["null"], [str(2**53), str(2**53 + 1)]),
        # Enumerations that exclude each other.
        ({"anyOf": [{"enum": [1], "const": 2}, {"const": 3}]}, ["3"], ["1", "2"]),
        ({"allOf": [{"anyOf": [{"const": 1}, {"const": 2}]}, {"enum": [2, 3]}]}, ["2"], ["1", "3"]),
        # A format beside a length or a pattern.
        ({"type": "string", "format": "email", "maxLength": 5}, ['"a@b.c"'], ['"ab@c.de"', '"a"']),
        ({"type": "string", "format": "date", "pattern": "^2024"},
         ['"2024-02-29"'], ['"2023-01-01"', '"2024-13-01"']),
        ({"format": "date"}, ['"2000-02-29"'], ['"1900-02-29"', '"2023-02-29"', '"0000-01-01"']),
        ({"format": "time"}, ['"23:59:59Z"'], ['"12:00:60Z"', '"24:00:00Z"']),
        # ECMA-262's patterns, where llguidance and Python have others.
        ({"type": "string", "pattern": "^.$"}, ['"a"', '"😀"'], ['"\\r"', '"\\n"', '"\\u2028"']),
        ({"type": "string", "pattern": r"^\S$"}, ['"a"'], ['"\ufeff"', '"\x85"', '"\u3000"']),
        ({"type": "string", "pattern": r"^\s$"}, ['"\u2003"', '"\\t"'], ['"a"', '"\x85"']),
        ({"type": "string", "pattern": r"^\d\w$"}, ['"1_"'], ['"\u0661_"', '"1é"']),
        ({"type": "string", "pattern": r"^[^\s]$"}, ['"a"'], ['"\u00a0"', '"\ufeff"']),
        ({"type": "string", "pattern": "^a|b$"}, ['"ax"', '"xb"'], ['"xax"', '"bx"']),
        ({"type": "string", "pattern": "^(?=.*[0-9])(?=.*[a-z]).{3,}$"},
         ['"ab1"'], ['"abc"', '"a1"']),
        ({"type": "string", "pattern": r"^(?!\.)(?!.*\.\.)(?!^a*$)[a.]*$"},
         ['"a.a"', '"aa."'], ['".a"', '"a..a"', '"a"', '""']),
        ({"type": "string", "pattern": r"^(?!(ab|c){2}|\s)[^]*$"},
         ['"acab"', '"ab"'], ['"abab"', '"cabx"', '" a"', '"\ufeff"']),
        ({"type": "string", "pattern": r"^\p{Lu}[^\p{L}]$"}, ['"É1"'], ['"é1"', '"ÉA"']),
        ({"type": "string", "pattern": r"^\u{1F600}\ud83d\ude00\cJ?[]?$"}, ['"😀😀"'], ['"😀"']),
        ({"type": "string", "pattern": "^(|a)b?$"}, ['""', '"ab"'], ['"ba"']),
        # Recursion.
        ({"$defs": {"n": {"allOf": [{"$ref": "#/$defs/b"}],
                          "properties": {"n": {"$ref": "#/$defs/n"}}},
                    "b": {**OBJECT, "properties": {"v": {"type": "null"}}, "required": ["v"]}},
          "allOf": [{"$ref": "#/$defs/n"}]},
         ['{"v":null}', '{"v":null,"n":{"v":null}}'], ["{}", '{"v":null,"n":{}}']),
        ({**CLOSED, "properties": {"a": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
         ['{"a":{"a":null}}', "{}"], ['{"a":{"b":1}}']),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": ["array", "null"], "items": {
            "allOf": [{"$ref": "#/$defs/a"}]}}}}, ["[[null],[]]"], ["[1]"]),
        # No other schema beside it says what properties are known.
        ({**OBJECT, "properties": {"a": True}, "patternProperties": {"^b": True},
          "unevaluatedProperties": False}, ['{"a":1,"b2":1}', "{}"], ['{"c":1}']),
        # One of several, which differ where the schema around them says more.
        ({**OBJECT, "oneOf": [
            {**CLOSED, "properties": {"a": {"const": 1}, "b": {"pattern": "x"}}, "required": ["a"]},
            {**CLOSED, "properties": {"a": {"enum": [2, 3]}, "b": {}}, "required": ["a"]}]},
         ['{"a":1,"b":"x"}', '{"a":3,"b":"y"}'], ['{"a":1,"b":"y"}', '{"a":4}', "{}", "1"]),
        ({**OBJECT, "required": ["a"], "oneOf": [
            {"properties": {"a": {"const": 1}, "b": {"multipleOf": 2}}},
            {"properties": {"a": {"const": 2}, "b": {"multipleOf": 3}}}]},
         ['{"a":1,"b":2}', '{"a":2,"b":3}'], ['{"a":1,"b":3}', '{"b":6}', '{"a":3,"b":6}']),
        # What changes nothing.
        ({**CLOSED, "allOf": [True], "properties": {"a": {}}, "unevaluatedProperties": False},
         ['{"a":1}'], ['{"b":1}']),
        ({**OBJECT, "propertyNames": {"type": "string"}}, ['{"a":1}'], ["1"]),
        ({**OBJECT, "patternProperties": {}, "minProperties": 0}, ['{"a":1}'], ["1"]),
        ({"type": "array", "uniqueItems": False, "unevaluatedItems": True}, ["[1,1]"], ["1"]),
        ({"not": False, "if": True, "then": True, "type": "null"}, ["null"], ["1"]),
        ({"type": "null", "nullable": False, "x-guidance": {"lenient": True}, "foo": 1},
         ["null"], ["1"]),
        # A branch that is impossible.
        ({"anyOf": [{"type": "integer", "minimum": 5, "maximum": 4}, {"type": "null"}]},
         ["null"], ["5"]),
        ({"anyOf": [{"type": "string", "minLength": 5, "maxLength": 4}, {"type": "null"}]},
         ["null"], ['"abcde"']),
        ({"type": ["string", "null"], "enum": [1, None]}, ["null"], ["1"]),
        ({**CLOSED, "properties": {"a": False, "b": True}}, ['{"b":1}', "{}"], ['{"a":1}']),
        ({"type": "array", "prefixItems": [True, False]}, ["[1]", "[]"], ["[1,2]"]),
        # oneOf.
        ({"oneOf": [{"$ref": "#/$defs/c"}, {"$ref": "#/$defs/d"}], "$defs": {
            "c": {**OBJECT, "properties": {"k": {"const": "c"}}, "required": ["k"]},
            "d": {**OBJECT, "properties": {"k": {"enum": ["d"]}}, "required": ["k"]}}},
         ['{"k":"c"}', '{"k":"d"}'], ["{}", '{"k":"e"}']),
        ({**CLOSED, "properties": {"a": True, "b": True},
          "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
         ['{"a":1}', '{"b":1}'], ["{}", '{"a":1,"b":1}']),
        # What depends on something else.
        ({**CLOSED, "properties": {"a": True, "b": True}, "dependentRequired": {"a": ["b"]}},
         ['{"a":1,"b":1}', '{"b":1}', "{}"], ['{"a":1}']),
        ({**CLOSED, "properties": {"k": {"enum": ["x", "y"]}, "b": True}, "required": ["k"],
          "if": {"properties": {"k": {"const": "x"}}}, "then": {"required": ["b"]}},
         ['{"k":"x","b":1}', '{"k":"y"}'], ['{"k":"x"}']),
        ({**CLOSED, "properties": {"a": True, "b": True}, "not": {"required": ["a", "b"]}},
         ['{"a":1}', '{"b":1}'], ['{"a":1,"b":1}']),
        ({"type": "string", "not": {"enum": ["ab", "a"]}}, ['"abc"', '""', '"b"'], ['"ab"', '"a"']),
        ({**OBJECT, "propertyNames": {"pattern": "^[a-c]+$"}}, ['{"ab":1}', "{}"], ['{"d":1}']),
        ({**OBJECT, "propertyNames": {"minLength": 2, "maxLength": 3},
          "additionalProperties": {"type": "null"}},
         ['{"ab":null,"\\n😀":null}', "{}"],
         ['{"a":null}', '{"abcd":null}', '{"ab":1}']),
        ({**CLOSED, "patternProperties": {"^(?!x-)": {"type": "null"}}},
         ['{"a":null}', "{}"], ['{"x-a":null}', '{"a":1}']),
        ({**OBJECT, "propertyNames": {"const": "a"}}, ['{"a":1}', "{}"], ['{"b":1}']),
        ({"//pattern": "a", "note": "why", "multiple": False, "type": "null"}, ["null"], ["1"]),
        ({**CLOSED, "properties": {"a": True, "b": True}, "minProperties": 1, "maxProperties": 1},
         ['{"a":1}', '{"b":1}'], ["{}", '{"a":1,"b":1}']),
        ({**OBJECT, "properties": {"a": True, "b": True}, "minProperties": 1}, ['{"b":1}'], ["{}"]),
        # Names that llguidance would let pass again with escapes.
        ({**OBJECT, "properties": {"a": {"type": "null"}}},
         ['{"a":null}', '{"b":"é"}'],
         ['{"\\u0061":1}', '{"a":null,"\\u0061":1}', '{"a":null,"a":1}']),
        ({**OBJECT, "patternProperties": {"^a": {"type": "null"}}},
         ['{"ab":null}'], ['{"\\u0061b":1}']),
        ({**OBJECT, "dependentRequired": {"a": ["b"]}},
         ['{"b":1}', '{"c":1}', '{"b":1,"a":1}'], ['{"a":1}', '{"\\u0061":1}']),
        ({**OBJECT, "not": {"required": ["a"]}}, ['{"b":1}'], ['{"a":1}', '{"\\u0061":1}']),
        # Other drafts.
        ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, ["4"], ["3"]),
        ({"items": [{"type": "null"}], "additionalItems": {"type": "boolean"}, "type": "array"},
         ["[null,true]"], ["[true]", "[null,null]"]),
        ({"$id": "http://a.b/c.json", "definitions": {"x": {"$id": "#y", "type": "null"}},
          "items": {"$ref": "c.json#/definitions/x"}, "prefixItems": [{"$ref": "#y"}],
          "type": "array"},
         ["[null,null]"], ["[1]", "[null,1]"]),
    ],
)  # fmt: skip
def test_what_is_right(schema: Any, good: list[str], bad: list[str]) -> None:
    """Everything good can be written, and nothing bad."""
    start = following(JsonSchema(schema))
    assert [text for text in good if not takes(start, text)] == []
    assert [text for text in bad if takes(start, text)] == []


@pytest.mark.parametrize(
    ("schema", "path", "words"),
    [
        ('{"type": "null", "type": "string"}', "#", "twice"),
        ('{"properties": {"a": {"minimum": 1, "minimum": 2}}}', "#/properties/a", "twice"),
        ('{"items": {"const": NaN}}', "#/items/const", "number"),
        ('{"enum": [1, Infinity]}', "#/enum/1", "number"),
        ('{"const": 1e400}', "#/const", "number"),
        (f'{{"minimum": {"9" * 5000}}}', "#/minimum", "number"),
        ('{"const": "\\ud800"}', "#/const", "surrogate"),
        ({"type": "integer", "minimum": 2**64}, "#/minimum", "beyond"),
        ({"const": 2**53 + 1}, "#/const", "digits"),
        ({"enum": [1 / 3]}, "#/enum", "digits"),
        ({"items": {"minlength": 3}}, "#/items/minlength", "minLength"),
        ({"requierd": ["a"]}, "#/requierd", "required"),
        ({"additionalproperties": False}, "#/additionalproperties", "additionalProperties"),
        ({"type": "string", "nullable": True}, "#/nullable", "null"),
        ({"type": "string", "format": "regex"}, "#/format", "regex"),
        ({"type": "array", "contains": {"type": "null"}}, "#/contains", "contains"),
        ({"if": {"pattern": "a"}, "then": {"minLength": 3}}, "#/if", "if"),
        ({**OBJECT, "minProperties": 2}, "#/minProperties", "more than one name"),
        ({**OBJECT, "propertyNames": {"maxLength": 3, "pattern": "a"}},
         "#/propertyNames", "propertyNames"),
        ({**OBJECT, "propertyNames": {"maxLength": -3}}, "#/propertyNames/maxLength", "whole"),
        ({**OBJECT, "propertyNames": {"minLength": 20_000}}, "#/propertyNames", "repetitions"),
        ({"type": "number", "inclusiveMinimum": 3}, "#/inclusiveMinimum", "'minimum'"),
        ({"allOf": [{"properties": {"a": True}}], "unevaluatedProperties": False},
         "#/unevaluatedProperties", "unevaluatedProperties"),
        ({"items": {"$ref": "#", "unevaluatedProperties": {"type": "null"}}},
         "#/items/unevaluatedProperties", "unevaluatedProperties"),
        ({"oneOf": [{"minLength": 2}, {"maxLength": 3}]}, "#/oneOf/1", "oneOf"),
        ({"oneOf": [{"additionalProperties": False, "properties": {"a": {}}, "required": ["a"]},
                    {"additionalProperties": False, "properties": {"b": {}}, "required": ["b"]}],
          "type": ["object", "string"]}, "#/oneOf/1", "oneOf"),
        ({"type": "string", "pattern": "^a(?!b)"}, "#/pattern", "lookahead"),
        ({"type": "string", "pattern": r"^(?!\p{L})"}, "#/pattern", "lookahead"),
        ({"type": "string", "pattern": "^(?![ab]*a[ab]{9}$)[ab]*$"}, "#/pattern", "lookahead"),
        ({"type": "string", "pattern": r"\bfoo"}, "#/pattern", "word boundaries"),
        ({"type": "string", "pattern": "(?P<a>b)"}, "#/pattern", "extensions"),
        ({"type": "string", "pattern": r"a\Z"}, "#/pattern", r"\Z"),
        ({"items": {"patternProperties": {"^a": {}, "b$": {}}}}, "#/items", "not disjoint"),
        ({**CLOSED, "required": ["a"]}, "#", "nothing that"),
        ({"properties": {"a": {"enum": []}}, "required": ["a"], **OBJECT},
         "#/properties/a", "enum"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}}},
         "#/$defs/a/items/$ref", "there is no"),
        ({"$ref": "#here"}, "#/$ref", "there is no"),
        (False, "#", "nothing is valid"),
    ],
)  # fmt: skip
def test_what_is_refused(schema: Any, path: str, words: str) -> None:
    """With its place in the schema as its author wrote it."""
    with pytest.raises(GrammarError) as caught:
        JsonSchema(schema)
    assert caught.value.path == path
    assert words in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "pattern": "(?<=a)b"}, '"x"'),
        ({"type": "string", "pattern": r"(a)\1"}, '"x"'),
        ({"type": "string", "pattern": "("}, '"x"'),
        ({"patternProperties": {"(?!a)": {"type": "null"}}}, '{"x":1}'),
        ({"patternProperties": {"^a": {}, "b$": {}}}, '{"x":1}'),
        ({"not": {"not": {"patternProperties": {"^a": {}, "b$": {}}}}}, '{"x":1}'),
        ({"type": "string", "nullable": True, "minlength": 3}, '"x"'),
        ({"type": "integer", "minimum": 2**64}, "5"),
        ({"const": 2**53 + 1}, "5"),
        ({"oneOf": [{"minLength": 1}, {"maxLength": 3}]}, '"x"'),
        ({"not": {"pattern": "a"}, "if": {"pattern": "a"}, "then": False}, '"b"'),
        (
            {**OBJECT, "minProperties": 3, "propertyNames": {"maxLength": 3, "format": "date"}},
            '{"abcd":1}',
        ),
        ({"type": "array", "contains": {"type": "null"}, "uniqueItems": True}, "[1,1]"),
        ({"type": "number", "multipleOf": 1e-11}, "0.5"),
    ],
)
def test_what_is_not_enforced_is_left_out(schema: Any, text: str) -> None:
    """With ``strict=False`` patterns are no exception."""
    with pytest.raises(GrammarError):
        JsonSchema(schema)
    assert takes(JsonSchema(schema, strict=False), text)


def _doubling(key: str) -> dict[str, Any]:
    defs: dict[str, Any] = {
        f"d{i}": {key: [{"$ref": f"#/$defs/d{i + 1}"}] * 2, "minItems": 1} for i in range(40)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**defs, "d40": {"type": "array"}}}


def _chain(n_links: int, link: Any) -> dict[str, Any]:
    defs = {f"d{i}": link({"$ref": f"#/$defs/d{i + 1}"}) for i in range(n_links)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{n_links}": {"type": "null"}}}


@pytest.mark.parametrize(
    "schema",
    [
        _doubling("allOf"),
        _doubling("anyOf"),
        _chain(5000, lambda inner: {"type": "array", "items": inner}),
        _chain(1400, lambda inner: {"allOf": [inner, {"minItems": 1}]}),
        {"enum": [str(number) for number in range(50_000)]},
        {"properties": {f"p{number}": {} for number in range(5000)}},
        {"patternProperties": {f"^{number}x": {} for number in range(500)}},
        {"allOf": [{"anyOf": [{"const": f"{i}{j}"} for i in range(30)]} for j in range(8)]},
        {"description": "x" * 3_000_000},
        {"default": json.loads("[" * 800 + "]" * 800)},
        {"type": "string", "pattern": "(a{1000}){1000}"},
        {"type": "string", "pattern": "(" * 10_000},
    ],
    ids=lambda schema: str(schema)[:30],
)
def test_hostile_schemas_end_in_an_error(schema: Any) -> None:
    """Also those that end a process where llguidance is called plainly."""
    with pytest.raises(GrammarError):
        JsonSchema(schema)


def test_white_space_is_bounded() -> None:
    """A space or a new line with what indents it; nobody's ``x-guidance`` changes that."""
    start = following(JsonSchema({"x-guidance": {"whitespace_flexible": True}, **OBJECT}))
    good = ['{ "a": [1, 2] }', '{\n\t"a":\n    1\n}', "{}"]
    assert [text for text in good if not takes(start, text)] == []
    bad = ['{  "a":1}', '{\n\n"a":1}', '{\r"a":1}', "{}\n", " {}", "{\n" + " " * 21 + "}"]
    assert [text for text in bad if takes(start, text)] == []


def test_strings_may_be_written_with_escapes_where_no_name_can_be_mistaken() -> None:
    """Never half a pair of surrogates, and each counts for one character."""
    start = following(JsonSchema({"type": "string", "maxLength": 2}))
    good = [r'"\u00e9\n"', r'"\ud83d\ude00\u0000"', '"é😀"']
    assert [text for text in good if not takes(start, text)] == []
    bad = [r'"\ud83d"', r'"\u00e9\u00e9\u00e9"', '"\n"', r'"\x41"']
    assert [text for text in bad if takes(start, text)] == []


def test_chains_of_references_are_followed() -> None:
    """A few hundred of them are nothing unusual."""
    schema = _chain(300, lambda inner: {"type": "array", "items": inner})
    assert takes(JsonSchema(schema), "[" * 300 + "null" + "]" * 300)


_BOUNDS = st.one_of(
    st.integers(-30, 30),
    st.decimals(-20, 20, places=2),
    st.integers(-(2**66), 2**66),
    st.decimals(-1000, 1000, places=17),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63, 2**63 - 1, 10**16]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["integer", "number"]),
    st.dictionaries(
        st.sampled_from(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]),
        _BOUNDS,
        min_size=1,
        max_size=2,
    ),
    st.integers(0, 1000),
)
def test_numbers_are_within_their_bounds(kind: str, bounds: dict[str, Any], seed: int) -> None:
    """Whatever is drawn, and whatever is near a bound."""
    schema = (
        f'{{"type": "{kind}", '
        + ", ".join(f'"{k}": {Decimal(v):f}' for k, v in bounds.items())
        + "}"
    )
    try:
        start = following(JsonSchema(schema))
    except GrammarError as error:
        assert error.path is not None  # noqa: PT017 - most bounds allow something
        return
    near = [Decimal(bound) + step for bound in bounds.values() for step in (-1, 0, 1)]
    drawn = [texts(start, seed), texts(start, seed + 1)]
    for text in [*drawn, *(f"{value:f}" for value in near)]:
        value = Decimal(text)
        inside = all(
            {
                "minimum": value >= bound,
                "maximum": value <= bound,
                "exclusiveMinimum": value > bound,
                "exclusiveMaximum": value < bound,
            }[key]
            for key, bound in bounds.items()
        )
        assert inside or not takes(start, text), (schema, text)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_drawn_is_valid(seed: int) -> None:
    """A schema with most of what there is, judged by the ``jsonschema`` package."""
    schema = {
        **OBJECT,
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "n": {"type": "integer", "minimum": -5, "maximum": 10**17},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
            "when": {"type": "string", "format": "date", "pattern": "^20"},
            "sub": {"$ref": "#/$defs/sub"},
        },
        "required": ["id", "sub", "other"],
        "patternProperties": {"^x_": {"type": "null"}},
        "additionalProperties": {"type": "boolean"},
        "$defs": {"sub": {"anyOf": [{"type": "null"}, {"allOf": [{"$ref": "#"}]}]}},
    }
    value = json.loads(texts(JsonSchema(schema), seed))
    jsonschema.validate(value, schema)
    assert value["other"] in (True, False)
