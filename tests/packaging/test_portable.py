"""The wheel for every CPU: eight minutes of compiling, so only when it is asked for."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("HEADRACE_TEST_PORTABLE") != "1",
        reason="HEADRACE_TEST_PORTABLE=1 is not set",
    ),
]

LOAD = """
from headrace_llamacpp_ffi import build_info, lib, library_dir
assert build_info.portable
assert build_info.cpu_features == ()
"""


def test_a_portable_wheel_carries_a_module_for_each_kind_of_cpu(run, checkout, tmp_path):
    """And loads, without being linked to any of them."""
    environment = os.environ | {"HEADRACE_PORTABLE": "1"}
    command = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path, ".")
    result = run(*command, cwd=checkout, env=environment)
    assert result.returncode == 0, result.stdout
    (wheel,) = tmp_path.glob("*.whl")
    names = [Path(name).name for name in zipfile.ZipFile(wheel).namelist()]
    assert len([name for name in names if "ggml-cpu-" in name]) > 3
    target = tmp_path / "target"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", target, wheel)
    environment = os.environ | {"PYTHONPATH": str(target)}
    loaded = run(sys.executable, "-c", LOAD, cwd=tmp_path, env=environment)
    assert loaded.returncode == 0, loaded.stdout
