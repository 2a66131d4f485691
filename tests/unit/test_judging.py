"""The judges of schemas find the order in which a grammar writes properties."""

from __future__ import annotations

import json

from headrace import JsonSchema
from tests.support import judging

NAMES = [f"p{number:02}" for number in range(40)]


def test_the_order_of_the_schema_is_found_among_many() -> None:
    """In few tries, though there are more orders than could be tried; the rest comes behind."""
    schema = {
        "type": "object",
        "properties": {name: {"enum": [0, [1]]} for name in NAMES},
        "required": NAMES[::7],
    }
    backwards = {"other": {"b": 0, "a": 0}, **dict.fromkeys(reversed(NAMES), 0)}
    text = judging.written(JsonSchema(schema), backwards, tries=2000)
    assert text is not None
    assert list(json.loads(text)) == [*NAMES, "other"]


def test_what_is_invalid_is_found_in_no_order() -> None:
    """Nor is what takes more tries than there are."""
    schema = JsonSchema({"type": "object", "properties": {"a": {"type": "null"}, "b": {}}})
    assert judging.written(schema, {"b": 1, "a": 1}) is None
    assert judging.written(schema, {"b": 1, "a": None}) == '{"a": null, "b": 1}'
    assert judging.written(schema, {"b": 1, "a": None}, tries=1) is None
