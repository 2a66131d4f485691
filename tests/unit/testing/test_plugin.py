"""The fixtures of the pytest plugin, and the suite as a class."""

from __future__ import annotations

import subprocess
import sys

import pytest

import headrace
from headrace.backend.plugins import discover
from tests.unit.testing.text_only import EchoBackend


def test_a_scripted_model(fake_model):
    """It writes its text, fails where it is told to, and several live side by side."""
    with fake_model("Hello").open_session() as session:
        assert session.complete("x").text == "Hello"
    session = fake_model("Hello", fault_at=3).open_session()
    with session, pytest.raises(headrace.DecodeError):
        session.complete("x")


def test_a_tiny_file(request):
    """Real ones, of three kinds of memory; another kind is refused by name."""
    pytest.importorskip("gguf")
    tiny_gguf = request.getfixturevalue("tiny_gguf")
    for kind in ("attention", "window", "recurrent"):
        assert tiny_gguf(kind).read_bytes()[:4] == b"GGUF"
    with pytest.raises(headrace.ParamsError, match="no tiny model 'diffusion'"):
        tiny_gguf("diffusion")


class TestIsolatedPlugins:
    """In the order in which they stand: the second sees nothing of the first."""

    def test_a_backend_for_one_test(self, isolated_plugins):
        """It is found by name and by reference."""
        isolated_plugins(EchoBackend())
        assert "echo" in headrace.backends()
        with headrace.load_model("echo:") as model, model.open_session() as session:
            assert session.complete("x", max_tokens=2).text == "1 2 "

    def test_which_is_gone_in_the_next(self):
        """And the others are there."""
        assert "echo" not in headrace.backends()
        assert discover().find("fake") is not None


def pytest_on(tmp_path, body: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a module of an author's."""
    (tmp_path / "test_mine.py").write_text(
        "from headrace.testing import BackendConformance\n"
        "class TestMine(BackendConformance):\n"
        "    backend_name = 'fake'\n"
        "    model = 'fake:#mean_length=0'\n"
        "    rules = ('stop',)\n" + body
    )
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)


def test_a_class_of_an_author(tmp_path):
    """A test for each rule; a skip shows its reason."""
    ran = pytest_on(tmp_path, "    skip_rules = {'stop.shift': 'the service decides'}\n")
    assert ran.returncode == 0, ran.stdout
    assert "the service decides" in ran.stdout


def test_a_skip_without_a_reason_is_an_error(tmp_path):
    """Before any test runs."""
    ran = pytest_on(tmp_path, "    skip_rules = {'stop.shift': ''}\n")
    assert ran.returncode != 0
    assert "must say why" in ran.stdout


def test_a_rule_that_fails_fails_its_test(tmp_path):
    """With the rule's sentence."""
    ran = pytest_on(tmp_path, "    model = 'fake:#fault_at=2'\n")
    assert ran.returncode == 1
    assert "A stop string ends the text before it." in ran.stdout
