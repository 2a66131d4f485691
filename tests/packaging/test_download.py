"""Fetching the pinned source, from a folder of archives instead of an index."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace

import pytest

from native_build.download import _unpack, fetch
from native_build.errors import BuildError
from native_build.pin import Pin

PIN = Pin("tiny-carrier", "1.0", "0" * 64, "vendor/llama.cpp", "c0ffee", 0)

SETUP = "from setuptools import setup\nsetup(name='tiny-carrier', version='1.0')\n"


def archive(folder, files):
    """Write a source distribution that carries these files; returns its pin."""
    path = folder / "tiny_carrier-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {"PKG-INFO": "Name: tiny-carrier\nVersion: 1.0\n", **files}.items():
            member = tarfile.TarInfo(f"tiny_carrier-1.0/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return replace(PIN, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def archives(tmp_path, no_index, monkeypatch):
    """The only folder that pip looks into."""
    for name, value in no_index.items():
        monkeypatch.setenv(name, value)
    # The nested build of the carrier's metadata has no index to install setuptools from.
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")
    return tmp_path / "archives"


def test_an_archive_with_another_checksum_is_refused(tmp_path, archives):
    """Nothing of it is unpacked, and the message says not to use it."""
    archive(archives, {"setup.py": SETUP, "vendor/llama.cpp/LICENSE": "MIT"})
    with pytest.raises(BuildError, match=r"(?s)is not the pinned one.*what to do: do not use it"):
        fetch(PIN, tmp_path / "tree", ("LICENSE",), tmp_path / "cache")
    assert not (tmp_path / "tree").exists()


def test_a_download_that_fails_says_what_to_do(tmp_path, archives):
    """Where no index has the archive, the message names the ways around it."""
    with pytest.raises(BuildError, match=r"(?s)could not be downloaded.*HEADRACE_LLAMA_CPP_SOURCE"):
        fetch(PIN, tmp_path / "tree", ("LICENSE",), tmp_path / "cache")


def test_the_wanted_part_of_the_archive_is_unpacked(tmp_path, archives):
    """The rest of the archive is left in it."""
    pin = archive(
        archives,
        {
            "setup.py": SETUP,
            "vendor/llama.cpp/LICENSE": "MIT",
            "vendor/llama.cpp/src/a.c": "int a;",
            "vendor/llama.cpp/models/big.bin": "big",
        },
    )
    tree = tmp_path / "tree"
    fetch(pin, tree, ("LICENSE", "src"), tmp_path / "cache")
    found = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())
    assert found == ["LICENSE", "src/a.c"]


def test_an_archive_without_llama_cpp_is_an_error_of_the_pin(tmp_path, archives):
    """The message points to the file that names the archive."""
    pin = archive(archives, {"setup.py": SETUP})
    with pytest.raises(BuildError, match=r"(?s)no vendor/llama.cpp in .*native_build/pin.py"):
        fetch(pin, tmp_path / "tree", ("LICENSE",), tmp_path / "cache")


def test_a_path_that_climbs_out_of_the_archive_is_left_in_it(tmp_path):
    """Though pip looks for such paths too."""
    climbing = "vendor/llama.cpp/src/../../../../escaped.c"
    pin = archive(tmp_path, {climbing: "int e;", "vendor/llama.cpp/src/a.c": "int a;"})
    (path,) = tmp_path.glob("*.tar.gz")
    _unpack(path, pin, ("src",), tmp_path / "a" / "b" / "tree")
    assert [file.name for file in tmp_path.rglob("*.c")] == ["a.c"]
