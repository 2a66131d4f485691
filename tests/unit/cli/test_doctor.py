"""``headrace doctor``: readable, pasteable, and with an exit code."""

from __future__ import annotations

import json

import pytest

import headrace


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    monkeypatch.setenv("HEADRACE_CACHE_DIR", str(tmp_path))


def test_it_tells_what_is_installed_and_tried(call, monkeypatch):
    """Section by section, in plain text."""
    monkeypatch.setenv("HEADRACE_PLUGINS", "fake")
    ended = call("doctor")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"headrace {headrace.__version__}\npython     ")
    for title in ("distributions", "environment", "backends", "devices", "plugins", "self-tests"):
        assert f"\n{title}\n  " in ended.out
    assert "passed  fake:The gate is open." in ended.out
    assert ended.out.endswith("\nNothing is wrong.\n")
    assert "\x1b" not in ended.out


def test_what_is_broken_is_the_exit_code(call, monkeypatch):
    """With what to do; the traceback only with --debug."""
    ended = call("doctor", "--model", "/no/such/model.gguf")
    assert ended.code == 1
    assert "FAILED  /no/such/model.gguf" in ended.out
    assert "BROKEN: self-test of /no/such/model.gguf: there is no model file" in ended.out
    assert "Traceback" not in ended.out
    assert "    Traceback" in call("doctor", "--model", "/no/such", "--debug").out


def test_json_is_the_whole_diagnosis(call):
    """For programs."""
    ended = call("doctor", "--json", "--no-self-test")
    found = json.loads(ended.out)
    assert found["ok"] is (ended.code == 0)
    assert found["self_tests"] == []
    (fake,) = [each for each in found["backends"] if each["name"] == "fake"]
    assert fake["system"]["devices"] == ["FAKE"]
    assert found["headrace"] == headrace.__version__
