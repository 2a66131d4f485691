"""The patch of ggml's barrier: that it is applied, to a copy, and says so where it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from native_build.errors import BuildError
from native_build.patching import BARRIER, write_patched
from native_build.pin import PINNED
from native_build.settings import Settings
from native_build.source import Source, find_source

PATCHED = "ggml/src/ggml-cpu/ggml-cpu.c"
SWITCHED_ON = {"HEADRACE_BARRIER": "1"}


def _hunks():
    """What the patch takes away with what is around it, hunk by hunk."""
    hunks = []
    for line in (BARRIER / "ggml-cpu.patch").read_text().splitlines():
        if line.startswith("@@"):
            hunks.append([])
        elif hunks and line[0] != "+":
            hunks[-1].append(line[1:])
    return ["\n".join(lines) for lines in hunks]


@pytest.fixture
def tree(tiny_llama_cpp):
    """The miniature, whose CPU kernels have what the patch wants to find, and tell their file."""
    kernels = tiny_llama_cpp / "src" / "ggml-cpu" / "ggml-cpu.c"
    place = tiny_llama_cpp / PATCHED
    place.parent.mkdir(parents=True)
    unread = "\n".join(["/*", *_hunks(), "*/"])
    place.write_text(
        f"{unread}\nconst char *place(void) {{ return __FILE__; }}\n{kernels.read_text()}"
    )
    kernels.unlink()
    cmake = tiny_llama_cpp / "CMakeLists.txt"
    cmake.write_text(cmake.read_text().replace("src/ggml-cpu/ggml-cpu.c", PATCHED))
    return tiny_llama_cpp


@pytest.fixture
def source(tree):
    """The miniature as a source."""
    return Source(tree, "0123456789abcdef", "identity")


def _kernels(tmp_path: Path) -> bytes:
    (library,) = (tmp_path / "cache" / "libraries").glob("*/lib/libggml-cpu.*")
    return library.read_bytes()


def test_the_copy_has_the_patch_and_the_source_has_not(source, tmp_path):
    """What is fetched once stays what it was, for builds with and without the patch."""
    original = (source.folder / PATCHED).read_text()
    folder = write_patched(source, tmp_path / "build")
    copy = (folder / "ggml-cpu.c").read_text()
    assert (source.folder / PATCHED).read_text() == original
    assert "headrace_wait(tp, n_passed);" in copy
    assert len(copy.splitlines()) > len(original.splitlines())
    assert (folder / "barrier.h").read_text() == (BARRIER / "barrier.h").read_text()


def test_the_patch_fits_the_pinned_source(tmp_path):
    """Whoever moves the pin learns here what became of it."""
    source = find_source(Settings.from_environment())
    assert source.commit == PINNED.commit
    copy = (write_patched(source, tmp_path) / "ggml-cpu.c").read_text()
    assert copy.count("headrace_wait(") == 1
    assert copy.count("headrace_wake(") == 1


@pytest.mark.parametrize("at", range(len(_hunks())))
def test_a_source_that_the_patch_does_not_fit_is_refused(source, tmp_path, at):
    """Nothing is built by half, and the message says how to build without."""
    place = source.folder / PATCHED
    place.write_text(place.read_text().replace(_hunks()[at], "/* moved */"))
    with pytest.raises(BuildError, match=r"(?s)does not fit.*not in it.*HEADRACE_BARRIER=0"):
        write_patched(source, tmp_path / "build")


def test_a_place_that_is_there_twice_is_refused(source, tmp_path):
    """Which of them was meant cannot be told."""
    place = source.folder / PATCHED
    place.write_text(place.read_text() + _hunks()[0] + "\n")
    with pytest.raises(BuildError, match=r"(?s)more than once.*HEADRACE_BARRIER=0"):
        write_patched(source, tmp_path / "build")


def test_a_source_without_the_file_is_refused(source, tmp_path):
    """It may have been renamed."""
    (source.folder / PATCHED).unlink()
    with pytest.raises(BuildError, match=r"(?s)has no ggml/src.*HEADRACE_BARRIER=0"):
        write_patched(source, tmp_path / "build")


def test_the_copy_is_what_is_compiled(build_libraries, tree, tmp_path):
    """In the original's place; the record tells it."""
    result = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tree), **SWITCHED_ON)
    assert result.returncode == 0, result.stdout
    assert b"headrace-barrier/ggml-cpu.c" in _kernels(tmp_path)
    (record,) = (tmp_path / "cache" / "libraries").glob("*/_build_info.json")
    assert "-DHEADRACE_BARRIER=ON" in json.loads(record.read_text())["cmake_options"]


def test_without_the_switch_the_original_is_compiled(build_libraries, tree, tmp_path):
    """As llama.cpp has it."""
    result = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tree), HEADRACE_BARRIER="0")
    assert result.returncode == 0, result.stdout
    assert f"llama.cpp/{PATCHED}".encode() in _kernels(tmp_path)


def test_with_and_without_it_are_two_builds(build_libraries, tree, tmp_path):
    """Neither is taken for the other."""
    for switch in ("0", "1"):
        build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tree), HEADRACE_BARRIER=switch)
    assert len(list((tmp_path / "cache" / "libraries").iterdir())) == 2


def test_a_build_that_would_leave_the_copy_out_fails(build_libraries, tree):
    """A tree that compiles its kernels from elsewhere would silently have its own barrier."""
    cmake = tree / "CMakeLists.txt"
    cmake.write_text(cmake.read_text().replace(PATCHED, "ggml/src/ggml-cpu/renamed.c"))
    (tree / PATCHED).with_name("renamed.c").write_text("int cpu(void) { return 2; }\n")
    result = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tree), **SWITCHED_ON)
    assert result.returncode == 1
    assert "HEADRACE_BARRIER=0 does without" in result.stdout
