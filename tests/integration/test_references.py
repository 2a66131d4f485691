"""A reference on the command line: fetched from a hub, loaded and run by llama.cpp."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support import hub as stand_in
from tests.support import tiny_gguf

pytest.importorskip("huggingface_hub")


def headrace(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "headrace", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def test_a_model_on_a_hub_is_run_like_one_on_the_disk(tmp_path):
    """The same text; the second time without the hub."""
    path = tiny_gguf.path("attention")
    options = ("hello", "-n", "6", "--temperature", "0", "--threads", "1", "-q")
    here = headrace("run", str(path), *options)
    assert here.returncode == 0, here.stderr
    environment = {
        "HEADRACE_CACHE_DIR": str(tmp_path / "cache"),
        "HF_HOME": str(tmp_path / "hf"),
        "NO_PROXY": "127.0.0.1",
    }
    with stand_in.running() as hub:
        hub.files["mill/wheel/model.gguf"] = path.read_bytes()
        environment["HF_ENDPOINT"] = hub.url
        fetched = headrace("run", "hf:mill/wheel/model.gguf", *options, **environment)
        missing = headrace("run", "hf:mill/wheel/none.gguf", *options, **environment)
    assert (fetched.returncode, fetched.stdout) == (0, here.stdout), fetched.stderr
    assert missing.returncode == 1
    assert "no file 'none.gguf'" in missing.stderr
    environment["HF_HUB_OFFLINE"] = "1"
    offline = headrace("run", "hf:mill/wheel/model.gguf", *options, **environment)
    assert (offline.returncode, offline.stdout) == (0, here.stdout), offline.stderr
