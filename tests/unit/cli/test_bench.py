"""``headrace bench``: the figures for people and programs, and the plot."""

from __future__ import annotations

import json

import pytest

SHORT = ("--rounds", "1", "--tokens", "2", "--prompt-tokens", "8", "--streams", "2", "--others")


@pytest.fixture(autouse=True)
def two_processors(monkeypatch):
    """A machine with two."""
    monkeypatch.setattr("headrace.inspection.environment.cpus", lambda: 2)


def test_it_tells_what_was_measured(call):
    """Prompt, streams, others, threads."""
    ended = call("bench", "fake:", *SHORT, "1")

    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "model        fake, fake"
    assert lines[4].endswith(", 8 tokens")
    assert [line.rsplit(", ")[1] for line in lines if line.startswith("decode")] == [
        "1 stream",
        "2 streams",
        "1 stream",
        "2 streams",
    ]
    assert "beside 1 other process that computes" in lines
    assert [line.split()[0] for line in lines[-4:-1]] == ["chosen", "1", "2"]
    assert "--threads" in lines[-1]


def test_progress_is_told_beside_the_output(call):
    """On stderr, where no terminal draws a bar."""
    ended = call("bench", "fake:", *SHORT, "0")

    assert ended.err.splitlines()[-1] == "Measuring: 100 %"


def test_json_has_every_figure(call):
    """And the best number of threads."""
    found = json.loads(call("bench", "fake:", "--json", *SHORT, "0").out)

    assert [each["streams"] for each in found["decode"]] == [1, 2]
    assert [each["n_threads"] for each in found["threads"]] == [None, 1, 2]
    assert found["best_threads"] in (None, 1, 2)
    assert found["busy"] == []
    assert found["prefill"]["median"] > 0


def test_a_given_number_of_threads_is_the_only_one(call):
    """Nothing is loaded twice."""
    found = json.loads(call("bench", "fake:", "--json", "--threads", "2", *SHORT, "0").out)

    assert (found["threads"], found["best_threads"]) == ([], None)


def test_the_plot_is_written(call, tmp_path):
    """Streams alone and beside others."""
    target = tmp_path / "speed.svg"
    ended = call("bench", "fake:", "--plot", str(target), *SHORT, "1")

    assert ended.code == 0
    text = target.read_text(encoding="utf-8")
    assert text.startswith("<svg ")
    assert "beside 1 process<" in text
    assert [each.name for each in tmp_path.iterdir()] == ["speed.svg"]


def test_a_plot_that_cannot_be_written_is_refused_before_anything_is_measured(call, tmp_path):
    """With a word about the folder."""
    ended = call("bench", "/no/such/model.gguf", "--plot", str(tmp_path / "none" / "a.svg"))

    assert ended.code == 2
    assert "none' is no folder" in ended.err
    assert "hint: Create the folder" in ended.err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--rounds", "0"), ("--tokens", "0"), ("--streams", "300"), ("--others", "-1")],
)
def test_a_wrong_number_is_told_by_its_option(call, option, value):
    """Not by the field that it sets."""
    ended = call("bench", "fake:", option, value)

    assert ended.code == 2
    assert ended.err.startswith(f"headrace: error: {option} must be ")


def test_a_context_that_is_too_small_fails_with_advice(call):
    """``--n-ctx`` raises it."""
    ended = call("bench", "fake:", "--n-ctx", "16")

    assert ended.code == 1
    assert "raise --n-ctx" in ended.err
