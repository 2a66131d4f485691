"""``headrace score``: how likely a text is, token by token; states of ``headrace run``."""

from __future__ import annotations

import json
import math

import pytest

import headrace


def test_each_token_has_a_line_and_the_end_sums_up(call):
    """The first has nothing before it."""
    ended = call("score", "fake:", "abc")
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0].split() == ["256", "-", "''"]
    assert [line.split()[0] for line in lines[1:4]] == ["97", "98", "99"]
    total = sum(float(line.split()[1]) for line in lines[1:4])
    assert lines[4] == "tokens     3"
    assert float(lines[5].removeprefix("total")) == pytest.approx(total, abs=1e-3)
    assert float(lines[6].removeprefix("perplexity")) == pytest.approx(math.exp(-total / 3), 1e-3)


def test_json_is_what_the_library_says(call):
    """With the likeliest tokens, if asked for."""
    told = json.loads(call("score", "--json", "--top", "2", "fake:", "abc").out)
    with headrace.load_model("fake:") as model, model.open_session() as session:
        score = session.score("abc", top=2)
    assert [each["logprob"] for each in told["tokens"]] == list(score.logprobs)
    assert told["perplexity"] == score.perplexity
    assert [len(each["top"]) for each in told["tokens"]] == [0, 2, 2, 2]


def test_with_something_before_it(call):
    """Every token has a number then; quietly there are only three lines."""
    ended = call("score", "-q", "--context", "some", "fake:", "-", stdin=b"abc\n")
    assert ended.out.startswith("tokens     3\ntotal")
    assert len(ended.out.splitlines()) == 3


def test_a_wrong_number(call):
    """A usage error, with the range."""
    ended = call("score", "--top", "-1", "fake:", "abc")
    assert ended.code == 2
    assert "top must be a whole number" in ended.err


def test_a_session_is_kept_in_a_file_and_gone_on_with(call, tmp_path):
    """The second run knows the history of the first: its text is what follows both."""
    state, model = str(tmp_path / "state"), "fake:#mean_length=0"
    options = ("-q", "-n", "8", "--temperature", "0", "--json")
    first = json.loads(call("run", *options, "--save-state", state, model, "one").out)
    second = json.loads(call("run", *options, "--load-state", state, model, "two").out)
    greedy = headrace.SamplingParams(temperature=0)
    with headrace.load_model(model) as loaded, loaded.open_session() as session:
        assert (
            list(session.complete("one", sampling=greedy, max_tokens=8).tokens) == first["tokens"]
        )
        assert (
            list(session.complete("two", sampling=greedy, max_tokens=8).tokens) == second["tokens"]
        )


def test_a_state_of_another_model_is_a_failure(call, tmp_path):
    """Which says what is different."""
    state = str(tmp_path / "state")
    call("run", "-q", "-n", "1", "--save-state", state, "fake:one", "hi")
    ended = call("run", "-q", "-n", "1", "--load-state", state, "fake:other", "hi")
    assert ended.code == 1
    assert "another model" in ended.err
