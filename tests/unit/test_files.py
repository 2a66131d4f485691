"""Work on model files: what is refused before a backend is asked, and that nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import headrace
from headrace.backend.abilities import ModelFiles, QuantizeRequest
from headrace.common.atomic import replacing
from headrace.results.files import FileInfo
from headrace_fake import FakeBackend


class Filing(FakeBackend):
    """A backend that works on files: it writes what it was asked to do."""

    fails = False

    def inspect(self, path: str) -> FileInfo:
        """Nothing but the path."""
        return FileInfo(Path(path), "text", {}, ())

    def quantization_types(self) -> tuple[str, ...]:
        """Two."""
        return ("Q8", "Q4")

    def quantize(self, request: QuantizeRequest) -> None:
        """Write the type."""
        request.target.write_text(request.type)
        if self.fails:
            raise headrace.ModelFormatError("it failed half-way")

    def split(self, path, prefix, *, max_bytes, max_tensors, progress):
        """Write nothing."""
        return [prefix]

    def merge(self, path, target, *, progress):
        """Write the source's name."""
        target.write_text(path)


@pytest.fixture
def source(tmp_path):
    """A file to work on."""
    path = tmp_path / "model.bin"
    path.write_text("weights")
    return path


@pytest.fixture
def filing():
    """The backend that works on files."""
    return Filing()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pipe_or_a_folder_is_replaced_by_no_file(source, filing, tmp_path, overwrite):
    """Nor is a device: root would lose it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link", "."):
        target = tmp_path / name
        with pytest.raises(headrace.ParamsError, match="no regular file"):
            headrace.quantize_model(source, target, "Q4", backend=filing, overwrite=overwrite)
        with pytest.raises(headrace.ParamsError, match="no regular file"):
            headrace.merge_model(source, target, backend=filing, overwrite=overwrite)
    assert (tmp_path / "pipe").is_fifo()


def test_a_backend_without_files_says_so(source):
    """With a hint at one that has them."""
    assert not isinstance(FakeBackend(), ModelFiles)
    with pytest.raises(headrace.UnsupportedError, match="'fake' does not work on model files"):
        headrace.inspect_file(source, backend="fake")


def test_a_quantized_copy_appears_under_its_name(source, filing, tmp_path):
    """And the type may be written in small letters."""
    target = headrace.quantize_model(source, tmp_path / "small.bin", "q4", backend=filing)
    assert target.read_text() == "Q4"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "small.bin"]


def test_an_unknown_type_is_refused_with_the_closest(source, filing, tmp_path):
    """Before anything is written."""
    with pytest.raises(headrace.ParamsError, match="no quantization type 'Q44'") as caught:
        headrace.quantize_model(source, tmp_path / "small.bin", "Q44", backend=filing)
    assert "Did you mean 'Q4'?" in caught.value.hint
    assert not (tmp_path / "small.bin").exists()


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, "2"])
def test_a_wrong_number_of_threads_is_refused(source, filing, tmp_path, threads):
    """Naming it."""
    with pytest.raises(headrace.ParamsError, match="n_threads"):
        headrace.quantize_model(
            source, tmp_path / "small.bin", "Q4", backend=filing, n_threads=threads
        )


def test_a_target_that_is_there_is_kept_unless_told(source, filing, tmp_path):
    """Never the source itself."""
    target = tmp_path / "small.bin"
    target.write_text("old")
    with pytest.raises(headrace.ParamsError, match="there already") as caught:
        headrace.quantize_model(source, target, "Q4", backend=filing)
    assert "overwrite=True" in caught.value.hint
    assert target.read_text() == "old"
    headrace.quantize_model(source, target, "Q4", backend=filing, overwrite=True)
    assert target.read_text() == "Q4"
    with pytest.raises(headrace.ParamsError, match="the source itself"):
        headrace.quantize_model(source, source, "Q4", backend=filing, overwrite=True)
    with pytest.raises(headrace.ParamsError, match="no directory"):
        headrace.merge_model(source, tmp_path / "absent" / "x", backend=filing)


def test_a_failure_leaves_the_old_target_and_nothing_else(source, filing, tmp_path):
    """What was written by then is removed."""
    target = tmp_path / "small.bin"
    target.write_text("old")
    filing.fails = True
    with pytest.raises(headrace.ModelFormatError, match="half-way"):
        headrace.quantize_model(source, target, "Q4", backend=filing, overwrite=True)
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "small.bin"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, "one of max_bytes and max_tensors"),
        ({"max_bytes": 1, "max_tensors": 1}, "one of max_bytes and max_tensors"),
        ({"max_bytes": 0}, "max_bytes must be a whole number"),
        ({"max_tensors": -3}, "max_tensors must be a whole number"),
        ({"max_tensors": 1.5}, "max_tensors must be a whole number"),
    ],
)
def test_limits_of_shards_are_checked(source, filing, tmp_path, limits, said):
    """Exactly one, and positive."""
    with pytest.raises(headrace.ParamsError, match=said):
        headrace.split_model(source, tmp_path / "part", backend=filing, **limits)


def test_merging_writes_the_whole(source, filing, tmp_path):
    """Through a temporary name."""
    whole = headrace.merge_model(source, tmp_path / "whole.bin", backend=filing)
    assert whole.read_text() == str(source)


def test_what_is_replaced_appears_at_the_end(tmp_path):
    """Not while it is written."""
    target = tmp_path / "file"
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text() == "new"
    assert not temporary.exists()
