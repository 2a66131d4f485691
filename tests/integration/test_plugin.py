"""The plugin, as discovery and ``load_model`` see it."""

from __future__ import annotations

import pytest

import headrace
from headrace.backend.plugins import discover
from headrace.errors import ModelNotFoundError
from headrace.protocols import Backend
from headrace_llamacpp import LlamaCppBackend
from tests.support import tiny_gguf
from tests.support.subprocesses import run_script


def test_the_backend_is_discovered():
    """By its entry point, like any other."""
    found = {each.name: each for each in discover().backends}
    assert found["llamacpp"].distribution == "headrace-llamacpp"
    assert isinstance(found["llamacpp"].backend, Backend)


def test_discovery_imports_nothing_native():
    """Only loading a model imports the extension."""
    ended = run_script(
        """
        import sys
        from headrace.backend.plugins import discover
        import headrace_llamacpp
        assert any(each.name == "llamacpp" for each in discover().backends)
        print([name for name in sys.modules if name.startswith("headrace_llamacpp_ffi")])
        print("headrace_llamacpp._native" in sys.modules)
        """
    )
    assert (ended.code, ended.output, ended.errors) == (0, "[]\nFalse\n", "")


def test_gguf_files_are_claimed_by_their_magic(tmp_path):
    """Whatever they are called; other files are not."""
    model = tmp_path / "model.bin"
    model.write_bytes(tiny_gguf.path("attention").read_bytes())
    other = tmp_path / "other.bin"
    other.write_bytes(b"something else")
    backend = LlamaCppBackend()
    assert backend.can_load(str(model))
    assert not backend.can_load(str(other))
    assert not backend.can_load(str(tmp_path))
    assert not backend.can_load(str(tmp_path / "missing.bin"))
    assert not backend.can_load("fake:hello")
    assert not backend.can_load("a\0b")


def test_a_missing_model_is_about_the_file_and_not_about_backends(tmp_path):
    """``load_model`` finds the backend by the suffix."""
    with pytest.raises(ModelNotFoundError, match=r"missing\.gguf"):
        headrace.load_model(tmp_path / "missing.gguf")


def test_a_model_writes_text_through_the_public_calls():
    """From ``load_model`` to a completion."""
    with headrace.load_model(tiny_gguf.path("attention")) as model:
        with model.open_session() as session:
            done = session.complete(
                "the", max_tokens=8, sampling=headrace.SamplingParams(temperature=0.0)
            )
        assert model.info.backend == "llamacpp"
    assert len(done.tokens) == 8
    assert done.receipt.backend == "llamacpp"
