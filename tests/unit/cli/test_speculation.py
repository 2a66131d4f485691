"""``--prompt-lookup`` and ``--draft-model`` of ``headrace run`` and ``chat``."""

from __future__ import annotations

import json

import pytest

# Looked-up drafts need sixteen tokens in common, which are as many characters of the fake's.
RUN = ("run", "fake:" + "abcd " * 9, "abcd " * 6)


def test_the_text_is_the_same_and_drafts_are_accepted(call):
    """The numbers say how many."""
    found = call(*RUN, "--prompt-lookup", "5", "--json", "-q")
    expected = call(*RUN, "--json", "-q")
    assert json.loads(found.out)["text"] == json.loads(expected.out)["text"]
    assert json.loads(found.out)["timings"]["accepted_tokens"] > 0


def test_headrace_may_judge_by_itself(call):
    """With the text as without; another word is refused with the one that is known."""
    found = call(*RUN, "--speculate", "auto", "--json", "-q")
    assert json.loads(found.out)["text"] == json.loads(call(*RUN, "--json", "-q").out)["text"]
    ended = call(*RUN, "--speculate", "always")
    assert ended.code == 2
    assert "'auto'" in ended.err


def test_a_number_out_of_range_is_named(call):
    """With the field it is for."""
    ended = call(*RUN, "--prompt-lookup", "99")
    assert ended.code != 0
    assert "--prompt-lookup must be" in ended.err


def test_a_draft_model_writes_ahead(call):
    """The text is that of the model; another draft model has less accepted."""
    expected = call("run", "fake:", "abcd", "-n", "20", "--temperature", "0", "--json", "-q")
    accepted = {}
    for draft in ("fake:", "fake:something else"):
        found = call(
            "run",
            "fake:",
            "abcd",
            "-n",
            "20",
            "--temperature",
            "0",
            "--json",
            "-q",
            "--draft-model",
            draft,
        )
        assert json.loads(found.out)["text"] == json.loads(expected.out)["text"]
        accepted[draft] = json.loads(found.out)["timings"]["accepted_tokens"]
    assert accepted["fake:"] > 10
    assert accepted["fake:something else"] < accepted["fake:"]


@pytest.mark.parametrize(
    "option", [("--prompt-lookup", "5"), ("--draft-model", "fake:yes no yes no")]
)
def test_a_chat_speculates(call, option):
    """And answers what it answers without."""
    chat = ("chat", "fake:" + "yes no " * 7, "yes no " * 5, "--json", "-q")
    expected = json.loads(call(*chat).out)
    found = json.loads(call(*chat, *option).out)
    assert found["message"]["content"] == expected["message"]["content"]
    assert found["timings"]["drafted_tokens"] > 0


def test_one_way_to_propose(call):
    """Both options are refused, and a draft model that is not there is named."""
    ended = call(*RUN, "--prompt-lookup", "5", "--draft-model", "fake:")
    assert ended.code == 2
    assert "exclude each other" in ended.err
    ended = call(*RUN, "--prompt-lookup", "5", "--speculate", "auto")
    assert "exclude each other" in ended.err
    ended = call(*RUN, "--draft-model", "/no/such.gguf")
    assert ended.code != 0
    assert "/no/such.gguf" in ended.err
