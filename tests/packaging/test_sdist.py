"""The source distribution: installing it downloads nothing."""

from __future__ import annotations

import os
import sys
import tarfile

import pytest

pytestmark = pytest.mark.slow

BUILD = "from setuptools.build_meta import build_sdist; build_sdist('dist')"
LOAD = "from headrace_llamacpp_ffi import lib, build_info; print(build_info.llama_cpp_commit)"


@pytest.fixture
def sdist(run, checkout):
    """The real archive."""
    result = run(sys.executable, "-c", BUILD, cwd=checkout)
    assert result.returncode == 0, result.stdout
    (sdist,) = (checkout / "dist").glob("*.tar.gz")
    return sdist


def test_it_carries_llama_cpp_and_all_that_builds_it_and_no_more(sdist):
    """Nothing of the other distributions of this repository."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "build_ffi.py",
        "native_build/libraries.py",
        "ffi/shim/headrace_shim.h",
        "ffi/watch/watch.cmake",
        "ffi/watch/watch.cpp",
        "src/headrace_llamacpp_ffi/py.typed",
        "llama.cpp/LICENSE",
        "llama.cpp/include/llama.h",
        "llama.cpp/ggml/src/ggml-cpu/ggml-cpu.c",
    } <= names
    assert not [name for name in names if name.startswith(("packages", "tests"))]
    assert not [name for name in names if name.endswith((".so", ".gguf", "miniaudio.h"))]


def test_it_installs_without_an_index_and_without_a_cache(
    run, sdist, tmp_path, clean_environment, no_index
):
    """From the archive alone, with the build requirements that are installed here."""
    target = tmp_path / "target"
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--target", target]
    environment = clean_environment | no_index
    install = run(
        sys.executable, "-m", "pip", "install", *options, sdist, cwd=tmp_path, env=environment
    )
    assert install.returncode == 0, install.stdout
    environment = os.environ | {"PYTHONPATH": str(target)}
    loaded = run(sys.executable, "-c", LOAD, cwd=tmp_path, env=environment)
    assert loaded.returncode == 0, loaded.stdout
    assert len(loaded.stdout.strip()) == 40
