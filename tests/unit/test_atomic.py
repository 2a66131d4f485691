"""Whatever writes files replaces regular ones, and nothing else."""

from __future__ import annotations

import os
import socket

import pytest

import headrace
from headrace import ParamsError
from headrace.common.atomic import replacing

OTHERS = ("directory", "FIFO", "socket", "device", "link that leads nowhere")


def make_other(kind, path):
    """Something at a path that is no regular file."""
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "device":
        path.symlink_to(os.devnull)
    else:
        path.symlink_to(path.with_name("nowhere"))


@pytest.fixture(params=OTHERS)
def other(request, tmp_path, monkeypatch):
    """Each of the others, and its kind."""
    monkeypatch.chdir(tmp_path)
    make_other(request.param, tmp_path / "target")
    return request.param, tmp_path / "target"


def test_what_is_no_regular_file_is_refused_before_anything_is_written(other):
    """By the one function that all writers go through."""
    kind, path = other
    before = os.lstat(path)
    with pytest.raises(ParamsError, match=kind), replacing(path):
        pytest.fail("the block ran")
    assert os.lstat(path) == before
    assert [each.name for each in path.parent.iterdir()] == ["target"]


def test_a_state_is_not_saved_there(other):
    """Nor is it computed first."""
    kind, path = other
    before = os.lstat(path)
    with headrace.load_model("fake:") as model, model.open_session() as session:
        session.complete("Hi", max_tokens=2)
        with pytest.raises(ParamsError, match=kind):
            session.save_state(path)
    assert os.lstat(path) == before


def test_a_link_to_a_regular_file_is_written_through(tmp_path):
    """As editors do: the link stays, what it leads to is replaced as a whole."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    with replacing(link) as temporary:
        assert temporary.parent == tmp_path
        temporary.write_text("new")
        assert real.read_text() == "old"
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_what_became_something_else_meanwhile_is_not_replaced(tmp_path):
    """A long write leaves time for that."""
    path = tmp_path / "target"

    def write():
        with replacing(path) as temporary:
            temporary.write_text("new")
            os.mkfifo(path)

    with pytest.raises(ParamsError, match="FIFO"):
        write()
    assert path.is_fifo()
    assert [each.name for each in tmp_path.iterdir()] == ["target"]
