"""Model files that change under a model: seen where that is possible, survived elsewhere."""

from __future__ import annotations

import os
import shutil

import pytest

import headrace
from headrace import BackendCrashedError, EngineParams, ModelLoadError, ModelParams
from tests.support import tiny_gguf

ENGINE = EngineParams(n_ctx=256, n_threads=1)


@pytest.fixture
def path(tmp_path):
    """A model file of the test's own."""
    return shutil.copy(tiny_gguf.path("attention"), tmp_path / "model.gguf")


def overwrite(path):
    """Change the last weights, in place."""
    with open(path, "r+b") as file:
        file.seek(-64, os.SEEK_END)
        file.write(bytes(64))
    later = os.stat(path).st_mtime_ns + 10_000_000
    os.utime(path, ns=(later, later))


def exchange(path):
    """Another file gets the name."""
    shutil.copy(path, f"{path}.new")
    os.replace(f"{path}.new", path)


@pytest.mark.parametrize("change", [overwrite, exchange], ids=["in place", "by a rename"])
def test_a_file_that_changes_during_the_load_is_no_model(path, change):
    """It would be of two versions, and say nothing."""
    changed = []

    def progress(done):
        if not changed:
            changed.append(change(path))

    with pytest.raises(ModelLoadError, match="changed while it was loaded"):
        headrace.load_model(path, engine=ENGINE, progress=progress)
    headrace.load_model(path, engine=ENGINE).close()


def test_a_file_that_was_overwritten_opens_no_session(path):
    """What is mapped is what was written."""
    with headrace.load_model(path, engine=ENGINE) as model:
        overwrite(path)
        with pytest.raises(ModelLoadError, match="was changed since the model was loaded"):
            model.open_session()


@pytest.mark.parametrize("away", [exchange, os.remove], ids=["replaced", "removed"])
def test_a_name_that_goes_away_changes_nothing(path, away):
    """The model keeps the file that it was loaded from."""
    with headrace.load_model(path, engine=ENGINE) as model:
        away(path)
        with model.open_session() as session:
            assert session.complete("a", max_tokens=3).tokens


def test_a_file_that_shrinks_ends_a_process_of_its_own_and_nothing_else(path):
    """In the caller's it would be the end of the caller: SIGBUS."""
    params = ModelParams(isolation="process", use_extra_bufts=False, load_mode="mmap")
    with headrace.load_model(path, params=params, engine=ENGINE) as model:
        session = model.open_session()
        os.truncate(path, 4096)
        with pytest.raises(BackendCrashedError, match="SIGBUS"):
            session.complete("a b c", max_tokens=20)
