"""JSON schemas made by hypothesis: small ones, so that what is generated under them ends soon."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_NAMES = st.text(alphabet='ab"\\é/~ ', min_size=1, max_size=3)
_SMALL = st.integers(-150, 150)
_CONSTANTS = st.one_of(st.none(), st.booleans(), _SMALL, st.text(max_size=4), st.just({"a": [1]}))


def _between(low: str, high: str, values: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return st.tuples(values, values).map(lambda pair: {low: min(pair), high: max(pair)})


_LENGTHS = st.integers(0, 4)
_LEAVES = st.one_of(
    _between("minimum", "maximum", _SMALL).map(lambda kept: {"type": "integer", **kept}),
    st.tuples(_SMALL, st.integers(0, 90)).map(
        lambda kept: {
            "type": "number",
            "minimum": kept[0] / 8,
            "exclusiveMaximum": kept[0] / 8 + 1 + kept[1] / 16,
        }
    ),
    _between("minLength", "maxLength", _LENGTHS).map(lambda kept: {"type": "string", **kept}),
    st.sampled_from(["^[a-c]{1,3}$", '^["\\\\x]{2}$', "^(ab|[^a-z]){0,2}$", "^\\d{2}-\\w$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
    st.sampled_from(["date", "time", "date-time", "uuid", "ipv4"]).map(
        lambda name: {"type": "string", "format": name}
    ),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.lists(_CONSTANTS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    _CONSTANTS.map(lambda value: {"const": value}),
)


def _objects(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(_NAMES, parts, max_size=3)
    return st.tuples(properties, st.booleans(), st.sets(st.integers(0, 2))).map(
        lambda made: {
            "type": "object",
            "properties": made[0],
            "required": [name for index, name in enumerate(made[0]) if index in made[2]],
            **({"additionalProperties": False} if made[1] else {}),
        }
    )


def _arrays(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(parts, _between("minItems", "maxItems", st.integers(0, 3))).map(
        lambda made: {"type": "array", "items": made[0], **made[1]}
    )


def _tuples(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(parts, min_size=1, max_size=2).map(
        lambda made: {"type": "array", "prefixItems": made, "items": False, "minItems": len(made)}
    )


SCHEMAS = st.recursive(
    _LEAVES,
    lambda parts: st.one_of(
        _objects(parts),
        _arrays(parts),
        _tuples(parts),
        st.lists(parts, min_size=1, max_size=2).map(lambda made: {"anyOf": made}),
    ),
    max_leaves=5,
)
"""Schemas whose values have some hundred characters at most."""
