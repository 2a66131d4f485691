"""Files of states: all of the new one or all of the old one."""

from __future__ import annotations

import os
import stat

import pytest

from headrace import ParamsError, StateError
from headrace.state import files, read_state, write_state


def test_a_file_is_replaced_and_private(tmp_path):
    """Through a link too, and nothing is left beside it."""
    target = tmp_path / "state"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_state(link, [b"new ", memoryview(b"state")])
    assert bytes(read_state(os.fspath(target))) == b"new state"
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(tmp_path.iterdir()) == [link, target]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_failure_on_the_way_leaves_the_old_file(tmp_path, monkeypatch, fails):
    """No space left, or no right to rename: the error names the file."""

    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    target = tmp_path / "state"
    target.write_bytes(b"old")
    monkeypatch.setattr(files.os, fails, refuse)
    with pytest.raises(StateError, match=r"state.*No space left on device"):
        write_state(target, [b"new"])
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupt_on_the_way_leaves_the_old_file(tmp_path):
    """Between two parts."""

    def parts():
        yield b"new"
        raise KeyboardInterrupt

    target = tmp_path / "state"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_state(target, parts())
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_where_nothing_can_be_written_or_read(tmp_path):
    """The path and the reason are named."""
    with pytest.raises(StateError, match=r"absent.*No such file"):
        write_state(tmp_path / "absent" / "state", [b""])
    with pytest.raises(StateError, match=r"absent.*No such file"):
        read_state(tmp_path / "absent")
    with pytest.raises(StateError, match="directory"):
        read_state(tmp_path)
    with pytest.raises(StateError, match="null"):
        read_state("a\0b")


@pytest.mark.parametrize("wrong", [None, 3, object()])
def test_neither_a_path_nor_a_file(wrong):
    """Before anything is computed."""
    with pytest.raises(ParamsError, match="path or a binary file"):
        files.check_target(wrong)
    with pytest.raises(ParamsError, match="path, a binary file or bytes"):
        read_state(wrong)


def test_files_of_text(tmp_path):
    """The mode is what was wrong."""
    path = tmp_path / "text"
    path.write_text("text")
    with path.open() as file, pytest.raises(ParamsError, match="'rb'"):
        read_state(file)
    with path.open("w") as file, pytest.raises(ParamsError, match="'wb'"):
        write_state(file, [b"x"])


def test_what_the_caller_changes_later_is_not_what_was_read():
    """A memory is taken in when its session runs again."""
    data = bytearray(b"state")
    found = read_state(data)
    data[0] = 0
    assert bytes(found) == b"state"
