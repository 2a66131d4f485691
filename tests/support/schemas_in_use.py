"""More than sixty schemas in the shapes that programs write them, each with what happens.

The shapes are those of zod (by zod-to-json-schema, and zod 4's own), pydantic 1 and 2, OpenAI's
strict mode and OpenAPI, and servers of tools (MCP). The instances that are taken have their
properties in the order of the schema.
"""

from __future__ import annotations

from typing import Any

import attrs


@attrs.frozen
class Use:
    """A schema, and what becomes of it."""

    name: str
    schema: dict[str, Any]
    takes: tuple[Any, ...] = ()
    refuses: tuple[Any, ...] = ()
    error: tuple[str, str] | None = None
    """Place and a part of the message, where it is refused."""


DRAFT7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
DRAFT2020 = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
STRING = {"type": "string"}
ID = "0b9a9f5e-8f4c-4f0e-9a55-3f0a7d1c2b3a"


def closed(properties: dict[str, Any], *optional: str, **more: Any) -> dict[str, Any]:
    """An object as zod and OpenAI's strict mode write it: nothing else may be there."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
        **more,
    }


def model(title: str, properties: dict[str, Any], *optional: str, **more: Any) -> dict[str, Any]:
    """An object as pydantic writes it: with titles, and open."""
    named = {
        name: {"title": name.replace("_", " ").title(), **each} for name, each in properties.items()
    }
    required = [name for name in properties if name not in optional]
    return {
        **({"$defs": more.pop("defs")} if "defs" in more else {}),
        "properties": named,
        **({"required": required} if required else {}),
        "title": title,
        "type": "object",
        **more,
    }


def old_model(
    title: str, properties: dict[str, Any], *optional: str, **more: Any
) -> dict[str, Any]:
    """The same as pydantic 1 writes it."""
    written = model(title, properties, *optional, **more)
    if "$defs" in written:
        written["definitions"] = written.pop("$defs")
    return written


ZOD_EMAIL = (
    r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@"
    r"([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"
)
ZOD_UUID = (
    r"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
    r"|00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff)$"
)
DECIMAL = r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"

ZOD = (
    Use(
        "zod: an object with an optional property",
        {**closed({"name": STRING, "age": {"type": "number"}}, "age"), **DRAFT7},
        takes=({"name": "Ann", "age": 3.5}, {"name": ""}),
        refuses=({"age": 3}, {"name": "Ann", "more": 1}, {"name": 1}),
    ),
    Use(
        "zod: formats of strings",
        {
            **closed(
                {
                    "id": {"type": "string", "format": "uuid"},
                    "mail": {"type": "string", "format": "email"},
                    "site": {"type": "string", "format": "uri"},
                    "at": {"type": "string", "format": "date-time"},
                }
            ),
            **DRAFT7,
        },
        takes=(
            {
                "id": ID,
                "mail": "ann@example.com",
                "site": "https://example.com/a?b=c",
                "at": "2024-02-29T10:00:00Z",
            },
        ),
        refuses=(
            {
                "id": "1",
                "mail": "ann@example.com",
                "site": "https://a.de",
                "at": "2024-02-29T10:00:00Z",
            },
            {"id": ID, "mail": "ann", "site": "https://a.de", "at": "2024-02-29T10:00:00Z"},
            {
                "id": ID,
                "mail": "ann@example.com",
                "site": "https://a.de",
                "at": "2023-02-29T10:00:00Z",
            },
        ),
    ),
    Use(
        "zod: a positive whole number",
        {**closed({"count": {"type": "integer", "exclusiveMinimum": 0}}), **DRAFT7},
        takes=({"count": 1}, {"count": 12345}),
        refuses=({"count": 0}, {"count": -1}, {"count": 1.5}),
    ),
    Use(
        "zod: an enumeration, and a literal",
        {
            **closed(
                {
                    "kind": {"type": "string", "enum": ["red", "green"]},
                    "version": {"type": "number", "const": 2},
                }
            ),
            **DRAFT7,
        },
        takes=({"kind": "red", "version": 2},),
        refuses=({"kind": "blue", "version": 2}, {"kind": "red", "version": 3}),
    ),
    Use(
        "zod: nullable, by types and by anyOf",
        {
            **closed(
                {
                    "a": {"type": ["string", "null"]},
                    "b": {"anyOf": [closed({"x": {"type": "integer"}}), {"type": "null"}]},
                }
            ),
            **DRAFT7,
        },
        takes=({"a": None, "b": None}, {"a": "", "b": {"x": 1}}),
        refuses=({"a": 1, "b": None}, {"a": None}, {"a": None, "b": {}}),
    ),
    Use(
        "zod: a discriminated union",
        {
            "anyOf": [
                closed({"type": {"type": "string", "const": "circle"}, "r": {"type": "number"}}),
                closed({"type": {"type": "string", "const": "square"}, "side": {"type": "number"}}),
            ],
            **DRAFT7,
        },
        takes=({"type": "circle", "r": 1}, {"type": "square", "side": 0.5}),
        refuses=({"type": "circle", "side": 1}, {"type": "line"}, {"r": 1}),
    ),
    Use(
        "zod: a tuple",
        {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": [STRING, {"type": "number"}],
            **DRAFT7,
        },
        takes=(["a", 1],),
        refuses=([1, "a"], ["a"], ["a", 1, 2]),
    ),
    Use(
        "zod: a record",
        {"type": "object", "additionalProperties": {"type": "number"}, **DRAFT7},
        takes=({}, {"a": 1, "b": 2.5}),
        refuses=({"a": "1"}, []),
    ),
    Use(
        "zod: a record whose names have a length",
        {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "propertyNames": {"minLength": 2, "maxLength": 3},
            **DRAFT7,
        },
        takes=({}, {"ab": 1, "abc": 2}),
        refuses=({"a": 1}, {"abcd": 1}, {"ab": "1"}),
    ),
    Use(
        "zod: a record of an enumeration's names",
        {
            "type": "object",
            "additionalProperties": {"type": "boolean"},
            "propertyNames": {"enum": ["read", "write"]},
            **DRAFT7,
        },
        takes=({}, {"read": True}, {"read": False, "write": True}),
        refuses=({"run": True}, {"read": 1}),
    ),
    Use(
        "zod: recursion through the root",
        {
            **closed({"name": STRING, "children": {"type": "array", "items": {"$ref": "#"}}}),
            **DRAFT7,
        },
        takes=({"name": "a", "children": [{"name": "b", "children": []}]},),
        refuses=({"name": "a", "children": [{"name": "b"}]}, {"name": "a", "children": [1]}),
    ),
    Use(
        "zod: a schema used twice refers to its first place",
        {
            **closed(
                {
                    "home": closed({"street": STRING}),
                    "work": {"$ref": "#/properties/home"},
                }
            ),
            **DRAFT7,
        },
        takes=({"home": {"street": "a"}, "work": {"street": "b"}},),
        refuses=({"home": {"street": "a"}, "work": {}},),
    ),
    Use(
        "zod: startsWith, includes and regex",
        {
            **closed(
                {
                    "a": {"type": "string", "pattern": "^https"},
                    "b": {"type": "string", "pattern": "cat"},
                    "c": {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"},
                }
            ),
            **DRAFT7,
        },
        takes=({"a": "https://", "b": "concatenate", "c": "ABC-1234"},),
        refuses=(
            {"a": "http", "b": "cat", "c": "ABC-1234"},
            {"a": "https", "b": "dog", "c": "ABC-1234"},
            {"a": "https", "b": "cat", "c": "ABC-12345"},
        ),
    ),
    Use(
        "zod: lengths beside a format",
        {**closed({"mail": {"type": "string", "format": "email", "maxLength": 12}}), **DRAFT7},
        takes=({"mail": "ann@a.de"},),
        refuses=({"mail": "annette@example.com"}, {"mail": "ann"}),
    ),
    Use(
        "zod: an intersection",
        {
            "allOf": [
                {"type": "object", "properties": {"a": STRING}, "required": ["a"]},
                {"type": "object", "properties": {"b": {"type": "number"}}, "required": ["b"]},
            ],
            **DRAFT7,
        },
        takes=({"a": "x", "b": 1},),
        refuses=({"a": "x"}, {"a": "x", "b": "y"}),
    ),
    Use(
        "zod: a set",
        {"type": "array", "items": STRING, "uniqueItems": True, **DRAFT7},
        error=("#/uniqueItems", "uniqueItems"),
    ),
    Use(
        "zod: a map, as a list of pairs",
        {
            "type": "array",
            "maxItems": 125,
            "items": {
                "type": "array",
                "items": [STRING, {"type": "number"}],
                "minItems": 2,
                "maxItems": 2,
            },
            **DRAFT7,
        },
        takes=([], [["a", 1], ["b", 2]]),
        refuses=([["a"]], [[1, "a"]], {"a": 1}),
    ),
    Use(
        "zod: never, as a property that may not be there",
        {**closed({"a": STRING, "b": {"not": {}}}, "b"), **DRAFT7},
        takes=({"a": "x"},),
        refuses=({"a": "x", "b": 1},),
    ),
    Use(
        "zod: an address of the network",
        {
            **closed(
                {
                    "ip": {
                        "type": "string",
                        "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}],
                    }
                }
            ),
            **DRAFT7,
        },
        takes=({"ip": "127.0.0.1"}, {"ip": "::1"}),
        refuses=({"ip": "256.0.0.1"}, {"ip": "x"}),
    ),
    Use(
        "zod: a step, and a large whole number",
        {
            **closed(
                {
                    "step": {"type": "number", "multipleOf": 0.01},
                    "big": {"type": "integer", "format": "int64"},
                }
            ),
            **DRAFT7,
        },
        takes=({"step": 0.25, "big": 9007199254740993},),
        refuses=({"step": 0.255, "big": 1}, {"step": 0.25, "big": 1.5}),
    ),
    Use(
        "zod 4: an email with lookaheads",
        {
            **DRAFT2020,
            **closed({"mail": {"type": "string", "format": "email", "pattern": ZOD_EMAIL}}),
        },
        takes=({"mail": "ann.b@example.com"}, {"mail": "a_1@x-y.co.uk"}),
        refuses=({"mail": ".ann@example.com"}, {"mail": "an..n@example.com"}, {"mail": "ann"}),
    ),
    Use(
        "zod 4: a uuid with its pattern",
        {**DRAFT2020, **closed({"id": {"type": "string", "format": "uuid", "pattern": ZOD_UUID}})},
        takes=({"id": ID}, {"id": "00000000-0000-0000-0000-000000000000"}),
        refuses=({"id": ID[:-1]}, {"id": "0b9a9f5e-8f4c-9f0e-9a55-3f0a7d1c2b3a"}),
    ),
    Use(
        "zod 4: whole numbers that are safe",
        {
            **DRAFT2020,
            **closed(
                {
                    "n": {
                        "type": "integer",
                        "minimum": -9007199254740991,
                        "maximum": 9007199254740991,
                    }
                }
            ),
        },
        takes=({"n": 0}, {"n": 9007199254740991}, {"n": -9007199254740991}),
        refuses=({"n": 9007199254740992}, {"n": -9007199254740992}),
    ),
    Use(
        "zod 4: a record whose names are strings",
        {
            **DRAFT2020,
            "type": "object",
            "propertyNames": STRING,
            "additionalProperties": closed({"n": {"type": "integer"}}),
        },
        takes=({}, {"x": {"n": 1}}),
        refuses=({"x": {}}, {"x": 1}),
    ),
    Use(
        "zod 4: a tuple with a rest",
        {
            **DRAFT2020,
            "type": "array",
            "prefixItems": [STRING, {"type": "boolean"}],
            "items": {"type": "number"},
        },
        takes=(["a", True], ["a", True, 1, 2]),
        refuses=(["a", 1], ["a", True, "b"]),
    ),
)

PYDANTIC_1 = (
    Use(
        "pydantic 1: a model with a default",
        old_model(
            "User",
            {"id": {"type": "integer"}, "name": {"default": "Ann", "type": "string"}},
            "name",
        ),
        takes=({"id": 1}, {"id": 1, "name": "Bo"}, {"id": 1, "name": "Bo", "more": None}),
        refuses=({"name": "Bo"}, {"id": "1"}),
    ),
    Use(
        "pydantic 1: a model in a model, by allOf",
        old_model(
            "Order",
            {"item": {"default": {"n": 1}, "allOf": [{"$ref": "#/definitions/Item"}]}},
            defs={"Item": old_model("Item", {"n": {"exclusiveMinimum": 0, "type": "integer"}})},
        ),
        takes=({"item": {"n": 3}},),
        refuses=({"item": {"n": 0}}, {"item": {}}),
    ),
    Use(
        "pydantic 1: recursion through allOf",
        old_model(
            "Tree",
            {"root": {"$ref": "#/definitions/Node"}},
            defs={
                "Node": old_model(
                    "Node",
                    {
                        "value": {"type": "integer"},
                        "next": {"allOf": [{"$ref": "#/definitions/Node"}]},
                    },
                    "next",
                )
            },
        ),
        takes=({"root": {"value": 1, "next": {"value": 2}}},),
        refuses=({"root": {"value": 1, "next": {}}},),
    ),
    Use(
        "pydantic 1: an enumeration",
        old_model(
            "Paint",
            {"colour": {"$ref": "#/definitions/Colour"}},
            defs={
                "Colour": {
                    "title": "Colour",
                    "description": "An enumeration.",
                    "enum": ["red", "blue", 3],
                }
            },
        ),
        takes=({"colour": "red"}, {"colour": 3}),
        refuses=({"colour": "green"}, {"colour": None}),
    ),
    Use(
        "pydantic 1: an address with lengths",
        old_model(
            "Link",
            {
                "url": {
                    "minLength": 1,
                    "maxLength": 2083,
                    "format": "uri",
                    "type": "string",
                }
            },
        ),
        takes=({"url": "https://example.com"},),
        refuses=({"url": ""}, {"url": "example"}),
    ),
    Use(
        "pydantic 1: a tuple, and a set",
        old_model(
            "Pair",
            {
                "both": {
                    "type": "array",
                    "minItems": 2,
                    "maxItems": 2,
                    "items": [{"type": "integer"}, STRING],
                },
                "tags": {"type": "array", "items": STRING, "uniqueItems": True},
            },
        ),
        error=("#/properties/tags/uniqueItems", "uniqueItems"),
    ),
    Use(
        "pydantic 1: formats that are its own",
        old_model(
            "Files",
            {
                "path": {"type": "string", "format": "path"},
                "secret": {"type": "string", "writeOnly": True, "format": "password"},
                "wait": {"type": "number", "format": "time-delta"},
            },
        ),
        takes=({"path": "/tmp/x", "secret": "s", "wait": 1.5},),
        refuses=(
            {"path": 1, "secret": "s", "wait": 1.5},
            {"path": "/tmp/x", "secret": "s", "wait": "1"},
        ),
    ),
    Use(
        "pydantic 1: a dictionary of lists",
        old_model(
            "Index",
            {
                "words": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "integer"}},
                }
            },
        ),
        takes=({"words": {}}, {"words": {"a": [1, 2]}}),
        refuses=({"words": {"a": 1}}, {"words": []}),
    ),
)

PYDANTIC_2 = (
    Use(
        "pydantic 2: optional with null",
        model(
            "Person",
            {
                "name": STRING,
                "age": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            },
            "age",
        ),
        takes=({"name": "a"}, {"name": "a", "age": None}, {"name": "a", "age": 5}),
        refuses=({"name": "a", "age": "5"}, {"age": 5}),
    ),
    Use(
        "pydantic 2: a discriminated union",
        model(
            "Owner",
            {
                "pet": {
                    "discriminator": {
                        "mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"},
                        "propertyName": "kind",
                    },
                    "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
                }
            },
            defs={
                "Cat": model(
                    "Cat",
                    {"kind": {"const": "cat", "type": "string"}, "lives": {"type": "integer"}},
                ),
                "Dog": model("Dog", {"kind": {"const": "dog", "type": "string"}, "tricks": STRING}),
            },
        ),
        takes=({"pet": {"kind": "cat", "lives": 9}}, {"pet": {"kind": "dog", "tricks": "none"}}),
        refuses=({"pet": {"kind": "cat", "tricks": "none"}}, {"pet": {"kind": "cow"}}),
    ),
    Use(
        "pydantic 2: a tree of nodes",
        {
            "$defs": {
                "Node": model(
                    "Node",
                    {
                        "value": {"type": "integer"},
                        "children": {
                            "default": [],
                            "items": {"$ref": "#/$defs/Node"},
                            "type": "array",
                        },
                    },
                    "children",
                )
            },
            "$ref": "#/$defs/Node",
        },
        takes=({"value": 1}, {"value": 1, "children": [{"value": 2, "children": []}]}),
        refuses=({"value": 1, "children": [{}]}, {}),
    ),
    Use(
        "pydantic 2: a tuple by prefixItems",
        model(
            "Point",
            {
                "at": {
                    "maxItems": 2,
                    "minItems": 2,
                    "type": "array",
                    "prefixItems": [{"type": "number"}, {"type": "number"}],
                }
            },
        ),
        takes=({"at": [1, 2.5]},),
        refuses=({"at": [1]}, {"at": [1, 2, 3]}, {"at": ["a", 1]}),
    ),
    Use(
        "pydantic 2: a decimal, whose pattern has a lookahead",
        model(
            "Price",
            {
                "amount": {
                    "anyOf": [
                        {"type": "number"},
                        {"pattern": DECIMAL, "type": "string"},
                    ]
                }
            },
        ),
        takes=({"amount": "12.50"}, {"amount": "-0.5"}, {"amount": 3}),
        refuses=({"amount": ""}, {"amount": "-"}, {"amount": "."}, {"amount": "1.2.3"}),
    ),
    Use(
        "pydantic 2: times",
        model(
            "Event",
            {
                "day": {"format": "date", "type": "string"},
                "at": {"format": "time", "type": "string"},
                "begins": {"format": "date-time", "type": "string"},
                "takes": {"format": "duration", "type": "string"},
                "id": {"format": "uuid", "type": "string"},
            },
        ),
        takes=(
            {
                "day": "2024-02-29",
                "at": "10:00:00Z",
                "begins": "2024-01-01T00:00:00+02:00",
                "takes": "P1DT2H",
                "id": ID,
            },
        ),
        refuses=(
            {
                "day": "2023-02-29",
                "at": "10:00:00Z",
                "begins": "2024-01-01T00:00:00Z",
                "takes": "P1D",
                "id": ID,
            },
            {
                "day": "2024-02-29",
                "at": "25:00:00Z",
                "begins": "2024-01-01T00:00:00Z",
                "takes": "P1D",
                "id": ID,
            },
        ),
    ),
    Use(
        "pydantic 2: a model that forbids what it does not know",
        model("Strict", {"a": {"type": "integer"}}, additionalProperties=False),
        takes=({"a": 1},),
        refuses=({"a": 1, "b": 2}, {}),
    ),
    Use(
        "pydantic 2: limits of strings, lists and numbers",
        model(
            "Limits",
            {
                "name": {"maxLength": 5, "minLength": 2, "type": "string"},
                "marks": {
                    "items": {"maximum": 6, "minimum": 1, "type": "integer"},
                    "maxItems": 3,
                    "minItems": 1,
                    "type": "array",
                },
                "share": {"exclusiveMaximum": 1, "minimum": 0, "type": "number"},
            },
        ),
        takes=({"name": "ab", "marks": [1, 6], "share": 0.5},),
        refuses=(
            {"name": "a", "marks": [1], "share": 0},
            {"name": "ab", "marks": [], "share": 0},
            {"name": "ab", "marks": [7], "share": 0},
            {"name": "ab", "marks": [1], "share": 1},
        ),
    ),
    Use(
        "pydantic 2: a dictionary whose names are literals",
        model(
            "Rights",
            {
                "rights": {
                    "additionalProperties": {"type": "boolean"},
                    "propertyNames": {"enum": ["read", "write"]},
                    "type": "object",
                }
            },
        ),
        takes=({"rights": {}}, {"rights": {"write": True}}),
        refuses=({"rights": {"run": True}}, {"rights": {"read": 1}}),
    ),
    Use(
        "pydantic 2: a dictionary whose names have a pattern",
        model(
            "Codes",
            {
                "codes": {
                    "additionalProperties": False,
                    "patternProperties": {"^[a-z]{2}$": {"type": "integer"}},
                    "type": "object",
                }
            },
        ),
        takes=({"codes": {}}, {"codes": {"de": 49}}),
        refuses=({"codes": {"deu": 49}}, {"codes": {"de": "49"}}),
    ),
    Use(
        "pydantic 2: JSON in a string, and a secret",
        model(
            "Odd",
            {
                "payload": {
                    "contentMediaType": "application/json",
                    "contentSchema": {"type": "object"},
                    "type": "string",
                },
                "secret": {"format": "password", "type": "string", "writeOnly": True},
            },
        ),
        takes=({"payload": "{}", "secret": "s"},),
        refuses=({"payload": {}, "secret": "s"},),
    ),
)

OPENAI = (
    Use(
        "OpenAI: steps of a calculation",
        closed(
            {
                "steps": {
                    "type": "array",
                    "items": closed({"explanation": STRING, "output": STRING}),
                },
                "final_answer": STRING,
            }
        ),
        takes=({"steps": [{"explanation": "a", "output": "b"}], "final_answer": "c"},),
        refuses=({"steps": [{"explanation": "a"}], "final_answer": "c"}, {"steps": []}),
    ),
    Use(
        "OpenAI: an optional value is one that may be null",
        closed(
            {
                "location": {"type": "string", "description": "City and country"},
                "units": {"type": ["string", "null"], "enum": ["celsius", "fahrenheit", None]},
            }
        ),
        takes=({"location": "Rome", "units": None}, {"location": "Rome", "units": "celsius"}),
        refuses=({"location": "Rome"}, {"location": "Rome", "units": "kelvin"}),
    ),
    Use(
        "OpenAI: definitions, and a list that refers to itself",
        closed(
            {"list": {"$ref": "#/$defs/node"}},
            **{
                "$defs": {
                    "node": closed(
                        {
                            "value": {"type": "number"},
                            "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                        }
                    )
                }
            },
        ),
        takes=({"list": {"value": 1, "next": {"value": 2, "next": None}}},),
        refuses=({"list": {"value": 1}}, {"list": None}),
    ),
    Use(
        "OpenAI: a user interface that refers to the root",
        closed(
            {
                "type": {"type": "string", "enum": ["div", "button"]},
                "label": STRING,
                "children": {"type": "array", "items": {"$ref": "#"}},
            }
        ),
        takes=(
            {
                "type": "div",
                "label": "",
                "children": [{"type": "button", "label": "b", "children": []}],
            },
        ),
        refuses=(
            {"type": "div", "label": "", "children": [{"type": "p", "label": "", "children": []}]},
        ),
    ),
    Use(
        "OpenAI: one of two kinds of items",
        closed(
            {
                "item": {
                    "anyOf": [
                        closed({"name": STRING, "age": {"type": "number"}}),
                        closed({"number": STRING, "street": STRING, "city": STRING}),
                    ]
                }
            }
        ),
        takes=(
            {"item": {"name": "a", "age": 1}},
            {"item": {"number": "1", "street": "s", "city": "c"}},
        ),
        refuses=({"item": {"name": "a", "street": "s"}}, {"item": {}}),
    ),
    Use(
        "OpenAI: patterns, formats and bounds",
        closed(
            {
                "user": {"type": "string", "pattern": "^@[a-zA-Z0-9_]+$"},
                "mail": {"type": "string", "format": "email"},
                "temperature": {"type": "number", "minimum": -130, "maximum": 130},
            }
        ),
        takes=({"user": "@ann", "mail": "a@b.de", "temperature": -5.5},),
        refuses=(
            {"user": "ann", "mail": "a@b.de", "temperature": 0},
            {"user": "@ann", "mail": "a@b.de", "temperature": 131},
        ),
    ),
    Use(
        "OpenAPI: nullable, which JSON Schema does not know",
        {"type": "object", "properties": {"name": {"type": "string", "nullable": True}}},
        error=("#/properties/name/nullable", "nullable"),
    ),
    Use(
        "OpenAPI: oneOf of kinds that overlap",
        {
            "oneOf": [
                {"type": "object", "properties": {"a": STRING}},
                {"type": "object", "properties": {"b": STRING}},
            ]
        },
        takes=({"a": 1}, {"b": 1}),
        refuses=({}, {"a": "x"}, {"a": "x", "b": "y"}, {"a": 1, "b": 1}, {"c": 1}),
    ),
    Use(
        "OpenAPI: formats of numbers and of bytes",
        closed(
            {
                "size": {"type": "integer", "format": "int32"},
                "rate": {"type": "number", "format": "double"},
                "data": {"type": "string", "format": "byte"},
            }
        ),
        takes=({"size": 1, "rate": 0.5, "data": "aGk="},),
        refuses=({"size": 0.5, "rate": 1, "data": ""}, {"size": 1, "rate": 1, "data": 1}),
    ),
    Use(
        "OpenAPI: a bound of draft 4",
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            **closed({"n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}}),
        },
        takes=({"n": 1},),
        refuses=({"n": 0}, {"n": -1}),
    ),
)

SERVERS = (
    Use(
        "a server: a tool without parameters",
        {"type": "object", "properties": {}},
        takes=({}, {"anything": 1}),
        refuses=([], 1),
    ),
    Use(
        "a server: reads a file",
        {
            **closed(
                {"path": STRING, "tail": {"type": "number"}, "head": {"type": "number"}},
                "tail",
                "head",
            ),
            **DRAFT7,
        },
        takes=({"path": "/a"}, {"path": "/a", "head": 3}),
        refuses=({}, {"path": "/a", "lines": 3}),
    ),
    Use(
        "a server: edits with a default",
        {
            **closed(
                {
                    "path": STRING,
                    "edits": {
                        "type": "array",
                        "items": closed(
                            {
                                "oldText": {"type": "string", "description": "Text to search for"},
                                "newText": {
                                    "type": "string",
                                    "description": "Text to replace with",
                                },
                            }
                        ),
                    },
                    "dryRun": {"type": "boolean", "default": False, "description": "Preview"},
                },
                "dryRun",
            ),
            **DRAFT7,
        },
        takes=({"path": "a", "edits": [{"oldText": "x", "newText": ""}], "dryRun": True},),
        refuses=({"path": "a", "edits": [{"oldText": "x"}]}, {"path": "a", "edits": {}}),
    ),
    Use(
        "a server: fetches an address",
        {
            "type": "object",
            "title": "Fetch",
            "description": "Parameters for fetching a URL.",
            "properties": {
                "url": {"type": "string", "format": "uri", "minLength": 1, "title": "Url"},
                "max_length": {
                    "default": 5000,
                    "type": "integer",
                    "title": "Max Length",
                    "exclusiveMinimum": 0,
                    "exclusiveMaximum": 1000000,
                },
                "raw": {"default": False, "type": "boolean", "title": "Raw"},
            },
            "required": ["url"],
        },
        takes=({"url": "https://example.com/", "max_length": 999999, "raw": False},),
        refuses=({"url": "https://example.com/", "max_length": 1000000}, {"max_length": 1}),
    ),
    Use(
        "a server: creates an issue",
        {
            **closed(
                {
                    "owner": STRING,
                    "repo": STRING,
                    "title": STRING,
                    "body": STRING,
                    "labels": {"type": "array", "items": STRING},
                    "milestone": {"type": "number"},
                },
                "body",
                "labels",
                "milestone",
            ),
            **DRAFT7,
        },
        takes=({"owner": "o", "repo": "r", "title": "t", "labels": ["bug"]},),
        refuses=(
            {"owner": "o", "repo": "r", "labels": []},
            {"owner": "o", "repo": "r", "title": 1},
        ),
    ),
    Use(
        "a server: a graph of what is known",
        {
            "type": "object",
            "properties": {
                "entities": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": STRING,
                            "entityType": STRING,
                            "observations": {
                                "type": "array",
                                "items": STRING,
                                "description": "Facts",
                            },
                        },
                        "required": ["name", "entityType", "observations"],
                    },
                }
            },
            "required": ["entities"],
        },
        takes=({"entities": [{"name": "a", "entityType": "b", "observations": []}]},),
        refuses=({"entities": [{"name": "a", "entityType": "b"}]}, {}),
    ),
    Use(
        "a server: required names that properties does not have",
        {"type": "object", "properties": {"a": STRING}, "required": ["a", "query"]},
        takes=({"a": "x", "query": 1},),
        refuses=({"a": "x"}, {"query": 1}),
    ),
    Use(
        "a server: parameters that depend on each other",
        {
            "type": "object",
            "properties": {"user": STRING, "password": STRING},
            "dependentRequired": {"password": ["user"]},
        },
        takes=({}, {"user": "a"}, {"user": "a", "password": "b"}),
        refuses=({"password": "b"},),
    ),
    Use(
        "a server: one of two parameters",
        {
            "type": "object",
            "properties": {"id": {"type": "integer"}, "name": STRING},
            "oneOf": [{"required": ["id"]}, {"required": ["name"]}],
            "additionalProperties": False,
        },
        takes=({"id": 1}, {"name": "a"}),
        refuses=({}, {"id": 1, "name": "a"}),
    ),
    Use(
        "a server: a keyword that is misspelt",
        {"type": "object", "properties": {"n": {"type": "integer", "minimun": 1}}},
        error=("#/properties/n/minimun", "minimum"),
    ),
    Use(
        "a server: a type that there is not",
        {"type": "object", "properties": {"upload": {"type": "file"}}},
        error=("#/properties/upload/type", "file"),
    ),
    Use(
        "a server: a reference to nothing",
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/Missing"}}},
        error=("#/properties/a/$ref", "Missing"),
    ),
)

USES = (*ZOD, *PYDANTIC_1, *PYDANTIC_2, *OPENAI, *SERVERS)
