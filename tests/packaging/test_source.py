"""Where the llama.cpp tree comes from."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest

from native_build import source
from native_build.release import copy_for_release
from native_build.settings import Settings


@pytest.fixture
def settings(tmp_path, tiny_llama_cpp):
    """Build the miniature tree."""
    return Settings(cache_dir=tmp_path / "cache", source_dir=tiny_llama_cpp)


def test_a_tree_is_identified_by_its_contents(settings, tmp_path):
    """A copy elsewhere is the same source; a changed byte is another."""
    first = source.find_source(settings)
    copy = shutil.copytree(settings.source_dir, tmp_path / "copy")
    same = source.find_source(Settings(tmp_path, source_dir=copy))
    (copy / "src" / "base.c").write_text("int base(void) { return 4; }\n")
    changed = source.find_source(Settings(tmp_path, source_dir=copy))
    assert first.identity == same.identity != changed.identity
    assert first.commit.startswith("tree-")


def test_a_clone_is_named_by_its_commit(settings):
    """A tree with git's own folder knows which commit it is, and when it was changed."""
    folder = settings.source_dir
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "tiny"]):
        author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *author, *command], cwd=folder, check=True)
    clean = source.find_source(settings).commit
    (folder / "LICENSE").write_text("changed")
    assert len(clean) == 40
    assert source.find_source(settings).commit == f"{clean}-dirty"


def test_a_released_tree_keeps_its_identity(settings, tmp_path, monkeypatch):
    """What an sdist carries is found first, known by its stamp, and fetched from nowhere."""
    original = replace(source.find_source(settings), commit="c0ffee")
    copy_for_release(original, tmp_path / source.BUNDLED)
    monkeypatch.setattr(source, "ROOT", tmp_path)
    bundled = source.find_source(Settings(cache_dir=tmp_path / "empty"))
    assert bundled.folder == tmp_path / source.BUNDLED
    assert (bundled.commit, bundled.identity) == (original.commit, original.identity)


def test_a_fetched_tree_is_fetched_once(settings, tmp_path, monkeypatch):
    """The second build finds the first one's tree in the cache."""
    fetched = []

    def fetch(pin, destination, members, cache_dir):
        fetched.append(destination)
        shutil.copytree(settings.source_dir, destination)

    monkeypatch.setattr(source, "fetch", fetch)
    monkeypatch.setattr(source, "ROOT", tmp_path / "nothing bundled")
    pinned = Settings(cache_dir=tmp_path / "cache")
    first, second = source.find_source(pinned), source.find_source(pinned)
    assert first == second
    assert len(fetched) == 1
