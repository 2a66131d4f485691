"""The JSON-Schema-Test-Suite judges what ``JsonSchema`` takes, refuses and lets be written."""

from __future__ import annotations

import functools
import json
import re

import attrs
import jsonschema
import pytest

from headrace import GrammarError, JsonSchema
from tests.support import json_schema_suite, judging, taking

DRAFTS = tuple(json_schema_suite.DRAFTS)
SEEDS = range(6)

NARROWER = {
    # What is written is valid, but not all that is valid can be written.
    r"optional/format/email: .*: a quoted string": "addresses have no quoted local part",
    r"optional/format/email: .*: an IPv6-address-literal": "nor an address of the network as host",
    r"optional/format/ipv6: .*: (mixed format|a long valid)": "an IPv6 address embeds no IPv4 one",
    r"optional/format/(date-time|time): .*leap second": "a minute has 60 seconds",
    r"optional/format/(date-time|time): .*case-insensitive": "T and Z are capitals",
    r"optional/format/uri-reference: .*protocol-relative": "no reference leaves the scheme out",
    r"^format: .* is only an annotation by default": "formats are kept to, whatever the draft",
    r"optional/ecmascript-regex: ECMA 262 \\s.*zero-width whitespace": "U+FEFF is no space",
    r"optional/bignum: .*comparison works for": "whole numbers have 64 bits",
    r"ref: ref overrides any sibling keywords": "what stands beside $ref counts in every draft",
    r"vocabulary: .*no validation vocabulary": "a metaschema of one's own is not read",
}
"""Valid instances that are refused, and why; all others are a fault."""

ANNOTATIONS = {
    r"^optional/content: ": "contentMediaType and contentEncoding are for the reader",
}
"""Invalid instances that are taken, as the standard allows; all others are a fault."""

NOT_PYTHON = re.compile(r"ecmascript-regex|non-bmp-regex")
"""Patterns that the judge, which is written in Python, reads otherwise."""

MOST_REFUSED = {"draft7": 59, "draft2019-09": 136, "draft2020-12": 147}
"""Schemas that have no grammar: fewer is better, more is a step back."""


@attrs.define
class Verdicts:
    """What became of a draft's schemas."""

    taken: int = 0
    refused: dict[str, GrammarError] = attrs.field(factory=dict)
    valid_refused: list[str] = attrs.field(factory=list)
    invalid_taken: list[str] = attrs.field(factory=list)
    drawn_invalid: list[str] = attrs.field(factory=list)


@functools.cache
def verdicts(draft: str) -> Verdicts:
    """Judge all of a draft."""
    found = Verdicts()
    for case in json_schema_suite.cases(draft):
        try:
            grammar = taking.following(JsonSchema(case.schema))
        except GrammarError as error:
            found.refused[case.name] = error
            continue
        found.taken += 1
        for description, instance, valid in case.tests:
            text = judging.written(grammar, instance)
            name = f"{case.name}: {description}"
            if valid and text is None:
                found.valid_refused.append(name)
            if not valid and text is not None:
                found.invalid_taken.append(name)
        if not NOT_PYTHON.search(case.name):
            found.drawn_invalid.extend(_drawn_invalid(draft, case, grammar))
    return found


def _drawn_invalid(draft: str, case: json_schema_suite.Case, grammar: object) -> list[str]:
    kind = jsonschema.validators.validator_for({"$schema": json_schema_suite.DRAFTS[draft]})
    judge = kind(
        case.schema, format_checker=kind.FORMAT_CHECKER, registry=json_schema_suite.registry()
    )
    texts = [judging.drawn(grammar, seed) for seed in SEEDS]
    return [
        f"{case.name}: {text}"
        for text in texts
        if text is not None and not judge.is_valid(json.loads(text))
    ]


def _without(found: list[str], table: dict[str, str]) -> list[str]:
    return [each for each in found if not any(re.search(key, each) for key in table)]


@pytest.mark.parametrize("draft", DRAFTS)
def test_no_invalid_instance_is_taken(draft: str) -> None:
    """Whatever the order of its properties."""
    assert not _without(verdicts(draft).invalid_taken, ANNOTATIONS)


@pytest.mark.parametrize("draft", DRAFTS)
def test_what_is_drawn_is_valid(draft: str) -> None:
    """As the validator of that draft judges it, with its formats."""
    assert not verdicts(draft).drawn_invalid


@pytest.mark.parametrize("draft", DRAFTS)
def test_valid_instances_are_taken_but_for_those_in_the_table(draft: str) -> None:
    """In some order of their properties."""
    assert not _without(verdicts(draft).valid_refused, NARROWER)


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_refused_schema_is_told_its_place(draft: str) -> None:
    """And no more of them are refused than were."""
    refused = verdicts(draft).refused
    assert not [name for name, error in refused.items() if not (error.path or "").startswith("#")]
    assert len(refused) <= MOST_REFUSED[draft]


def test_nothing_stands_in_the_tables_that_is_not_so() -> None:
    """What works meanwhile is taken out of them."""
    found = [verdicts(draft) for draft in DRAFTS]
    narrower = [name for each in found for name in each.valid_refused]
    let_through = [name for each in found for name in each.invalid_taken]
    unused = [key for key in NARROWER if not any(re.search(key, name) for name in narrower)]
    unused += [key for key in ANNOTATIONS if not any(re.search(key, name) for name in let_through)]
    assert not unused
