"""What a pattern does not match is matched by its complement, and nothing else is."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from headrace import GrammarError, JsonSchema
from tests.support.taking import following, takes

TEXTS = ["".join(each) for length in range(6) for each in itertools.product("ab.", repeat=length)]


@pytest.mark.parametrize(
    "forbidden",
    ["a", "a$", "$", "ab|b", "(ab?|.\\.)$", ".*\\.\\.", "(a|b){2,3}$", "[^a]*$", "a*b+.?$",
     "(ab)*$", "^[.a]*$", "(?:a{0,2}\\.){2}", "a|^b$", "[^]*a[^]{2}$"],
)  # fmt: skip
def test_a_negative_lookahead_forbids_what_it_matches(forbidden: str) -> None:
    """At the beginning of a pattern, as Python's expressions do."""
    pattern = f"^(?!{forbidden})[ab.]*$"
    start = following(JsonSchema({"type": "string", "pattern": pattern}))
    wanted = re.compile(pattern.replace("[^]", "[ab.]"))
    assert [text for text in TEXTS if takes(start, json.dumps(text))] == [
        text for text in TEXTS if wanted.search(text)
    ]


def test_what_forbids_everything_is_refused() -> None:
    """No text is left."""
    with pytest.raises(GrammarError, match="no text"):
        JsonSchema({"type": "string", "pattern": "^(?!)a"})
