"""Schemas as programs write them: each is kept to, or refused with its place."""

from __future__ import annotations

import json

import pytest

from headrace import GrammarError, JsonSchema
from tests.support.schemas_in_use import USES, Use
from tests.support.taking import following, takes

KEPT = [use for use in USES if use.error is None]
REFUSED = [use for use in USES if use.error is not None]
SEPARATORS = ((", ", ": "), (",", ":"))


def by_name(use: Use) -> str:
    """How a test is called."""
    return use.name


@pytest.mark.parametrize("use", KEPT, ids=by_name)
def test_a_schema_is_kept_to(use: Use) -> None:
    """What is valid can be written, compactly too; what is not cannot."""
    grammar = following(JsonSchema(use.schema))
    for separators in SEPARATORS:
        taken = [value for value in use.takes if takes(grammar, written(value, separators))]
        assert taken == list(use.takes)
        assert not [value for value in use.refuses if takes(grammar, written(value, separators))]


@pytest.mark.parametrize("use", REFUSED, ids=by_name)
def test_what_cannot_be_kept_to_is_refused_with_its_place(use: Use) -> None:
    """In the schema that the caller wrote."""
    assert use.error is not None
    path, part = use.error
    with pytest.raises(GrammarError) as caught:
        JsonSchema(use.schema)
    assert caught.value.path == path
    assert part in f"{caught.value}"


def test_there_are_sixty_of_them() -> None:
    """And no name stands for two."""
    assert len({use.name for use in USES}) == len(USES) >= 60


def written(value: object, separators: tuple[str, str]) -> str:
    """As JSON."""
    return json.dumps(value, separators=separators, ensure_ascii=False)
