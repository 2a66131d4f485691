"""No value gets through the settings unchecked: it is accepted, or refused by name."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import EngineParams, ModelParams, ParamsError

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300)
    | st.floats()
    | st.text(st.characters(), max_size=140)
    | st.binary(max_size=4)
    | st.fractions(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = [(cls, field.name) for cls in (ModelParams, EngineParams) for field in attrs.fields(cls)]


@pytest.mark.parametrize(("cls", "name"), FIELDS, ids=str)
@given(value=ANYTHING)
def test_a_field_takes_a_value_or_names_itself(cls, name, value):
    """Whatever it is given; an error is a ParamsError, and what is accepted can be hashed."""
    told = None
    try:
        params = cls(**{name: value})
    except ParamsError as error:
        told = str(error)
    if told is None:
        assert hash(attrs.evolve(params)) == hash(params)
    else:
        assert f"{cls.__name__}.{name}" in told


@given(st.dictionaries(st.text(max_size=140), ANYTHING, max_size=4))
def test_overrides_that_are_accepted_fit_into_native_buffers(pairs):
    """Keys and texts of at most 127 bytes without NUL, 64-bit integers, finite numbers."""
    try:
        params = ModelParams(kv_overrides=pairs)
    except ParamsError:
        return
    for key, value in params.kv_overrides:
        assert 0 < len(key.encode()) <= 127
        assert "\0" not in key
        if isinstance(value, str):
            assert len(value.encode()) <= 127
            assert "\0" not in value
        elif isinstance(value, int):
            assert -(2**63) <= value < 2**63
        else:
            assert math.isfinite(value)
