"""``headrace doctor`` on llama.cpp: what it computes with, and what is said when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import headrace
from headrace_llamacpp.backend import LlamaCppBackend
from tests.support import tiny_gguf


def test_the_backend_says_what_it_computes_with():
    """Build, options, compiler, kernels."""
    found = LlamaCppBackend().diagnose()
    assert found.findings == ()
    assert found.system.build.startswith("llama.cpp ")
    assert found.system.compiler
    assert found.system.options
    assert found.system.kernels
    assert "headrace-llamacpp-ffi" in found.distributions


def test_a_model_that_is_named_is_tried():
    """Loaded, read, cancelled."""
    (test,) = headrace.diagnose(model=tiny_gguf.path("attention")).self_tests
    assert test.passed
    assert "llamacpp: loaded, 4 tokens read, a stream cancelled" in test.told


def test_a_binding_that_cannot_be_imported_is_a_finding(tmp_path):
    """With what to do; the rest is told as ever."""
    (tmp_path / "headrace_llamacpp_ffi.py").write_text("raise ImportError('cannot open libllama')")
    ended = subprocess.run(
        [sys.executable, "-m", "headrace", "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    found = json.loads(ended.stdout)
    (finding,) = [each for each in found["findings"] if each["about"] == "backend llamacpp"]
    assert "cannot open libllama" in finding["message"]
    assert "pip install" in finding["remedy"]
    assert {each["name"] for each in found["backends"]} >= {"llamacpp"}
