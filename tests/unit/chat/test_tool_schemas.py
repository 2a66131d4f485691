"""Schemas of tools, and the arguments of calls that are checked against them."""

from __future__ import annotations

import json
import socket

import pytest

from headrace import ArgumentProblem, ParamsError, ToolCall
from headrace.requests.conversation import check_chat
from headrace.requests.tool_schemas import MAX_PROBLEMS, argument_problems

HI = [{"role": "user", "content": "Hi"}]


def offered(parameters):
    """A request with two tools, the second of which takes these."""
    return check_chat(HI, tools=[{"name": "f"}, {"name": "g", "parameters": parameters}])


def problems(schema, arguments, name="g"):
    """What is wrong with a call."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return argument_problems(ToolCall(name=name, arguments=text), {"g": json.dumps(schema)})


NO_SCHEMAS = [
    ({"type": "objekt"}, "#/type: 'objekt'"),
    ({"type": "array"}, "#/type: must describe an object"),
    ({"properties": []}, "#/properties: "),
    ({"properties": {"a": {"type": "strin"}}}, "#/properties/a/type: 'strin'"),
    ({"properties": {"a/b": {"maxLength": -1}}}, "#/properties/a~1b/maxLength: -1"),
    ({"required": "a"}, "#/required: 'a' is not of type 'array'"),
    ({"properties": {"a": {"$ref": "#/$defs/b"}}}, r"#/properties/a/\$ref: .*'#/\$defs/b'"),
    (
        {"properties": {"a": {"$ref": "https://example.com/x"}}},
        r"#/properties/a/\$ref: .*not in this schema",
    ),
    ({"$schema": "http://json-schema.org/draft-04/schema#", "required": []}, "#/required: "),
]


@pytest.mark.parametrize(("schema", "told"), NO_SCHEMAS)
def test_a_schema_that_is_none_is_told_with_its_tool_and_place(schema, told):
    """Whatever the template: before it is rendered."""
    with pytest.raises(ParamsError, match=rf"tools\[1\]\.parameters, {told}"):
        offered(schema)


def test_a_schema_that_nests_too_deeply_is_told():
    """And ends in no RecursionError."""
    schema: dict = {}
    for _ in range(400):
        schema = {"properties": {"a": schema}}
    with pytest.raises(ParamsError, match=r"tools\[1\]\.parameters.*deep"):
        offered(schema)


GOOD = [
    {},
    {"type": ["object", "null"]},
    {"properties": {"a": {"maximum": 2**63, "multipleOf": 0.1}}},
    {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#"}}},
    {"properties": {"$ref": {"type": "string"}}, "default": {"$ref": "nowhere"}},
    {"properties": {"a": {"enum": [{"$ref": "#/nowhere"}]}}},
    {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}},
    {"$schema": "https://example.com/mine", "properties": {"a": {"type": "string"}}},
]


@pytest.mark.parametrize("schema", GOOD, ids=str)
def test_schemas_as_they_are_written_are_taken(schema):
    """In any draft."""
    assert dict(offered(schema).tools[1].parameters) == schema


DAYS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2, "pattern": "^[A-Z]"},
        "days": {"type": "integer", "minimum": 1},
        "unit": {"enum": ["C", "F"]},
        "step": {"multipleOf": 0.1},
    },
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("arguments", "path", "told"),
    [
        ({"city": "Paris", "days": 2, "unit": "C"}, None, None),
        ('{"city": "Oslo", "days": 2.0, "step": 0.3}', None, None),
        ({}, "#", "'city' is a required property"),
        ("", "#", "'city' is a required property"),
        ({"city": "P"}, "#/city", "too short"),
        ({"city": "paris"}, "#/city", "does not match"),
        ({"city": "Paris", "days": 0}, "#/days", "less than the minimum"),
        ({"city": "Paris", "days": "2"}, "#/days", "not of type 'integer'"),
        ({"city": "Paris", "days": 2.5}, "#/days", "2.5 is not of type 'integer'"),
        ({"city": "Paris", "days": True}, "#/days", "not of type 'integer'"),
        ({"city": "Paris", "unit": "K"}, "#/unit", "not one of"),
        ('{"city": "Oslo", "step": 0.35}', "#/step", "0.35 is not a multiple of 0.1"),
        ({"city": "Paris", "more": 1}, "#", "Additional properties"),
        ('{"city": "Pa', "#", "no JSON"),
        ("[1]", "#", "no JSON object"),
        ("[" * 100_000, "#", "no JSON"),
        ('{"city": "Oslo", "step": 1e99999999999999999999999}', "#", "beyond all bounds"),
    ],
)
def test_the_arguments_of_a_call_are_checked(arguments, path, told):
    """What is wrong is told with its place in them."""
    found = problems(DAYS, arguments)
    assert [each.path for each in found] == ([] if path is None else [path])
    if told is not None:
        assert told in found[0].message


def test_several_problems_are_told_in_order_and_no_more_than_a_few():
    """All at once, so that a model can mend them at once."""
    found = problems(DAYS, {"unit": "K", "city": "x"})
    assert [each.path for each in found] == ["#/city", "#/city", "#/unit"]
    many = {"additionalProperties": {"type": "string"}}
    assert len(problems(many, {str(n): n for n in range(100)})) == MAX_PROBLEMS


def test_a_call_of_no_tool_is_a_problem():
    """With the tools that there are."""
    (found,) = problems(DAYS, {}, name="h")
    assert found == ArgumentProblem("#", "there is no tool 'h', only 'g'")


def test_what_cannot_be_checked_is_not_said_to_be_valid():
    """A pattern of another dialect, a circle, a number out of all bounds."""
    for schema in (
        {"properties": {"a": {"pattern": r"\p{L}"}}},
        {"$ref": "#"},
        {"properties": {"a": {"multipleOf": 0.1}}},
    ):
        text = '{"a": 1e999999}' if "multipleOf" in str(schema) else '{"a": "x"}'
        (found,) = problems(schema, text)
        assert found.path == "#"
        assert "could not be checked" in found.message


def test_nothing_is_fetched(monkeypatch):
    """Schemas come from servers of tools, which strangers run."""

    def connect(*args, **kwargs):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", connect)
    (found,) = problems({"$ref": "http://localhost:9/x.json"}, {})
    assert "could not be checked" in found.message


def test_formats_are_annotations():
    """As the specification has it."""
    assert problems({"properties": {"a": {"format": "ipv4"}}}, {"a": "x"}) == ()


@pytest.mark.parametrize(
    ("tool_problems", "valid"), [(None, None), ((), True), ([ArgumentProblem("#", "x")], False)]
)
def test_a_call_says_whether_it_is_valid(tool_problems, valid):
    """Or that nobody looked; it is the same call in any case."""
    call = ToolCall(name="f", problems=tool_problems)
    assert call.valid is valid
    assert call == ToolCall(name="f")


def test_what_is_no_problem_is_refused():
    """As any wrong field."""
    with pytest.raises(ParamsError, match=r"ToolCall\.problems must be None or a sequence"):
        ToolCall(name="f", problems=("x",))


CUT = '{"city": "Pa'


@pytest.mark.parametrize("arguments", [CUT, "[1]", "1", '{"a": NaN}', "null"])
@pytest.mark.parametrize("shape", ["dict", "value"])
def test_a_call_in_the_history_needs_whole_arguments(arguments, shape):
    """Named by message and call, whatever the template makes of it."""
    good = ToolCall(name="f", arguments="{}")
    bad = ToolCall(name="f", arguments=arguments)
    if shape == "dict":
        bad = {"id": "1", "function": {"name": "f", "arguments": arguments}}
    message = {"role": "assistant", "content": "", "tool_calls": [good, bad]}
    with pytest.raises(ParamsError, match=r"messages\[1\]\.tool_calls\[1\]\.arguments must be"):
        check_chat([*HI, message])


@pytest.mark.parametrize("arguments", [None, "", " \n"])
def test_a_call_without_arguments_has_none(arguments):
    """As some models write one."""
    told = {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "f", "arguments": arguments}}],
    }
    request = check_chat([*HI, told])
    assert request.messages[1].tool_calls == (ToolCall(name="f", arguments="{}"),)
    assert ToolCall(name="f", arguments=arguments).parsed() == {}
