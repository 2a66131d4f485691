"""``headrace run --prompt-lookup``."""

from __future__ import annotations

import json

RUN = ("run", "fake:abcd abcd abcd abcd", "abcd abcd")


def test_the_text_is_the_same_and_drafts_are_accepted(call):
    """The numbers say how many."""
    found = call(*RUN, "--prompt-lookup", "5", "--json", "-q")
    expected = call(*RUN, "--json", "-q")
    assert json.loads(found.out)["text"] == json.loads(expected.out)["text"]
    assert json.loads(found.out)["timings"]["accepted_tokens"] > 0


def test_a_number_out_of_range_is_named(call):
    """With the field it is for."""
    ended = call(*RUN, "--prompt-lookup", "99")
    assert ended.code != 0
    assert "max_draft" in ended.err
