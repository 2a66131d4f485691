"""Building the libraries and finding them again, on the miniature tree."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


@pytest.fixture
def built(tmp_path):
    """The records of what is in the cache."""

    def built():
        return [
            json.loads(path.read_text())
            for path in (tmp_path / "cache" / "libraries").glob("*/_build_info.json")
        ]

    return built


def test_a_second_build_with_unchanged_inputs_builds_nothing(build_libraries, tiny_llama_cpp):
    """It says where it found the first one's libraries."""
    first = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp))
    second = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp))
    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    assert "headrace: building llama.cpp" in first.stdout
    assert "is built already" in second.stdout
    assert "headrace: building llama.cpp" not in second.stdout


@pytest.mark.parametrize(
    "change",
    [
        {"HEADRACE_CMAKE_ARGS": "-DSOMETHING=1"},
        {"HEADRACE_PORTABLE": "1"},
        {"CXXFLAGS": "-DSOMETHING"},
        {"CC": "gcc -DSOMETHING"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_option_is_another_build(build_libraries, tiny_llama_cpp, built, change):
    """Whatever changes the libraries changes their place in the cache."""
    build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp))
    result = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp), **change)
    assert result.returncode == 0, result.stdout
    assert len(built()) == 2


def test_a_changed_source_is_another_build(build_libraries, tiny_llama_cpp, built, run):
    """A user's own tree is edited between builds, and git calls it "dirty" each time."""
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "tiny"]):
        assert run("git", *author, *command, cwd=tiny_llama_cpp).returncode == 0
    for number in (5, 6):
        (tiny_llama_cpp / "src" / "base.c").write_text(f"int base(void) {{ return {number}; }}\n")
        build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp))
    assert len({record["llama_cpp_commit"] for record in built()}) == 1
    assert len(built()) == 2


def test_the_record_tells_what_was_built(build_libraries, tiny_llama_cpp, built):
    """For the package to read, and to compare with the machine it is on."""
    build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp))
    (record,) = built()
    assert record["llama_cpp_commit"].startswith("tree-")
    assert "-DGGML_NATIVE=ON" in record["cmake_options"]
    assert "-DHEADRACE_WATCH=ON" in record["cmake_options"]
    assert record["portable"] is False
    assert record["compiler"]
    if os.uname().machine == "x86_64":
        assert "sse4_2" in record["cpu_features"]


def test_a_portable_build_has_kernels_for_every_cpu(build_libraries, tiny_llama_cpp, built):
    """The switch is ggml's own option."""
    build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp), HEADRACE_PORTABLE="1")
    (record,) = built()
    assert "-DGGML_CPU_ALL_VARIANTS=ON" in record["cmake_options"]


@pytest.mark.parametrize(
    "switch",
    [{"HEADRACE_PORTABLE": "1"}, {"HEADRACE_CMAKE_ARGS": "-DGGML_BACKEND_DL=on -DGGML_NATIVE=OFF"}],
    ids=lambda switch: next(iter(switch)),
)
def test_kernels_that_are_modules_ask_nothing_of_the_cpu(
    build_libraries, tiny_llama_cpp, built, switch
):
    """They are chosen among when the program runs, whoever switched them on."""
    build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp), **switch)
    (record,) = built()
    assert record["portable"] is True
    assert record["cpu_features"] == []


def test_the_licences_lie_beside_the_libraries(build_libraries, tiny_llama_cpp, tmp_path):
    """They must travel together."""
    build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp))
    (licence,) = (tmp_path / "cache" / "libraries").glob("*/licenses/llama.cpp.txt")
    assert "MIT" in licence.read_text()


def test_a_failed_configuration_shows_why_and_leaves_nothing(
    build_libraries, tiny_llama_cpp, built, tmp_path
):
    """CMake's own words, the log's place, and no half-made libraries."""
    result = build_libraries(
        HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp), HEADRACE_CMAKE_ARGS="-DREFUSE=1"
    )
    assert result.returncode == 1
    assert "this option is refused" in result.stdout
    assert "headrace: error: configuring llama.cpp" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("headrace: what to do: ")
    assert "Traceback" not in result.stdout
    assert built() == []
    assert list((tmp_path / "cache" / "tmp").iterdir()) == []


def test_a_compile_error_is_shown(build_libraries, tiny_llama_cpp):
    """The compiler's first error, not Ninja's last line."""
    (tiny_llama_cpp / "src" / "base.c").write_text("int base(void) { return; broken }\n")
    result = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp))
    assert result.returncode == 1
    assert "broken" in result.stdout
    assert "headrace: error: building llama.cpp" in result.stdout


def test_without_a_compiler_nothing_is_downloaded(build_libraries, no_index, tmp_path):
    """The compiler is looked for first; the download would fail here too, and later."""
    empty = tmp_path / "empty"
    empty.mkdir()
    result = build_libraries(PATH=str(empty), CC="", CXX="", **no_index)
    assert result.returncode == 1
    assert "no compiler found" in result.stdout
    assert "download" not in result.stdout
    assert "Traceback" not in result.stdout


def test_a_failed_download_ends_with_one_clear_message(build_libraries, no_index):
    """Through the whole command."""
    result = build_libraries(**no_index)
    assert result.returncode == 1
    assert "could not be downloaded" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("headrace: what to do: ")
    assert "Traceback" not in result.stdout


def test_a_cache_that_cannot_be_written_to_is_named(build_libraries, tmp_path, no_index):
    """The message says which variable moves it."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    result = build_libraries(HEADRACE_CACHE_DIR=str(blocked), **no_index)
    assert result.returncode == 1
    assert "set HEADRACE_CACHE_DIR to a folder that is" in result.stdout


def test_no_path_of_the_build_stays_in_the_libraries(build_libraries, tiny_llama_cpp, tmp_path):
    """Equal builds in different folders are equal, and name nobody's home."""
    (tiny_llama_cpp / "src" / "base.c").write_text("const char * base(void) { return __FILE__; }\n")
    build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp))
    libraries = list((tmp_path / "cache" / "libraries").glob("*/lib/*ggml-base*"))
    assert libraries
    for library in libraries:
        content = Path(library).read_bytes()
        assert str(tmp_path).encode() not in content
        assert b"llama.cpp/src/base.c" in content
