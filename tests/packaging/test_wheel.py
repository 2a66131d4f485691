"""The real wheel: it stands alone, and one serves every Python."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PYTHONS = ("python3.10", "python3.11", "python3.12", "python3.13")

LOAD = """
from headrace_llamacpp_ffi import build_info, ffi, lib, library_dir
params = lib.llama_model_default_params()
assert ffi.typeof(params).cname == "struct llama_model_params"
assert list(library_dir.iterdir())
print(build_info.llama_cpp_commit)
"""

REFUSED = """
import sys
from pathlib import Path
from headrace_llamacpp_ffi import UnsupportedCPUError
try:
    from headrace_llamacpp_ffi import lib
except UnsupportedCPUError as error:
    print(error)
assert "headrace_llamacpp_ffi._ffi" not in sys.modules
maps = Path("/proc/self/maps")
assert not maps.exists() or "libllama" not in maps.read_text()
"""


def install(run, python, wheel, folder):
    """Install the wheel in a new environment; returns that environment's Python."""
    for command in (
        (python, "-m", "venv", folder),
        (folder / "bin" / "python", "-m", "pip", "install", "--quiet", wheel),
    ):
        result = run(*command)
        assert result.returncode == 0, result.stdout
    return folder / "bin" / "python"


@pytest.mark.parametrize("name", PYTHONS)
def test_one_wheel_loads_in_every_python_without_its_sources(run, wheel, tmp_path, name):
    """A clean environment, the build tree gone, and no path to libraries set."""
    python = shutil.which(name)
    if python is None or run(python, "-c", "import venv").returncode != 0:
        pytest.skip(f"{name} is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    installed = install(run, python, wheel, tmp_path / "venv")
    result = run(installed, "-c", LOAD, cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stdout
    assert len(result.stdout.strip()) == 40


def test_the_wheel_is_for_the_stable_abi_of_one_platform(wheel):
    """Its tag says so; that it is true was checked when it was built."""
    _, _, python_tag, abi_tag, platform_tag = wheel.stem.split("-")
    assert (python_tag, abi_tag) == ("cp310", "abi3")
    assert platform_tag != "any"


def test_the_wheel_holds_the_libraries_once_and_their_licences(wheel):
    """No versioned copies, no headers, no build leftovers."""
    names = zipfile.ZipFile(wheel).namelist()
    libraries = sorted(Path(name).stem for name in names if "/lib/" in name)
    assert libraries == [
        "libggml",
        "libggml-base",
        "libggml-cpu",
        "libggml-rpc",
        "libllama",
        "libllama-common",
    ]
    assert "headrace_llamacpp_ffi/licenses/llama.cpp.txt" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith((".h", ".cpp", ".cmake", ".pc"))]


def test_nothing_in_the_wheel_names_the_folders_it_was_built_in(wheel):
    """Neither in libraries nor in the record."""
    with zipfile.ZipFile(wheel) as archive:
        contents = b"".join(archive.read(name) for name in archive.namelist())
    assert str(wheel.parent).encode() not in contents
    assert str(Path.home() / ".cache").encode() not in contents


def test_a_cpu_that_lacks_something_gets_an_error_before_anything_is_loaded(run, wheel, tmp_path):
    """The record is compared with the machine first; here it asks too much."""
    python = install(run, sys.executable, wheel, tmp_path / "venv")
    (record,) = (tmp_path / "venv").rglob("_build_info.json")
    fields = json.loads(record.read_text())
    fields["cpu_features"].append("timetravel")
    record.write_text(json.dumps(fields))
    result = run(python, "-c", REFUSED, cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert "built for a CPU with timetravel" in result.stdout


@pytest.mark.parametrize("name", ["_ffi", "lib/libllama"])
def test_a_broken_installation_says_so(run, wheel, tmp_path, name):
    """A missing library, or a missing extension, with the way to mend it."""
    python = install(run, sys.executable, wheel, tmp_path / "venv")
    (package,) = (tmp_path / "venv").rglob("headrace_llamacpp_ffi")
    for file in package.glob(f"{name}.*so"):
        file.unlink()
    result = run(python, "-c", "from headrace_llamacpp_ffi import lib", cwd=tmp_path)
    assert "ExtensionLoadError: the extension of headrace-llamacpp-ffi cannot" in result.stdout
    assert "install the package again" in result.stdout
