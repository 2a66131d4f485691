"""``python build_ffi.py`` on a copy of the checkout, without llama.cpp or with the wrong one."""

from __future__ import annotations

import shutil
import sys

import pytest

from native_build.toolchain import find_tool


@pytest.fixture
def tiny_prefix(tiny_llama_cpp, build_libraries, tmp_path):
    """An installation of the miniature tree."""
    result = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp))
    assert result.returncode == 0, result.stdout
    (prefix,) = (tmp_path / "cache" / "libraries").iterdir()
    return prefix


SHIM = """
#include "headrace_shim.h"
extern "C" int llama_three(void);
extern "C" int hr_four(void) { return llama_three() + 1; }
"""

LOAD = "from headrace_llamacpp_ffi import lib; print(lib.hr_four())"


@pytest.fixture
def tiny_checkout(checkout):
    """A checkout whose declarations and shim are as small as the llama.cpp."""
    shutil.rmtree(checkout / "ffi")
    for name, text in {
        "cdef/10_all.h": "int hr_four(void);\n",
        "shim/headrace_shim.h": '#include "llama.h"\nextern "C" int hr_four(void);\n',
        "shim/all.cpp": SHIM,
    }.items():
        path = checkout / "ffi" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return checkout


@pytest.fixture
def build(run, tiny_checkout, tiny_prefix, clean_environment):
    """Build in place and call the extension; the output of both, and the extension's file."""
    environment = clean_environment | {"PYTHONPATH": str(tiny_checkout / "src")}

    def build(prefix=tiny_prefix):
        environment["HEADRACE_LLAMA_CPP_PREFIX"] = str(prefix)
        built = run(sys.executable, "build_ffi.py", cwd=tiny_checkout, env=environment)
        assert built.returncode == 0, built.stdout
        (extension,) = (tiny_checkout / "src").rglob("_ffi*.so")
        return run(sys.executable, "-c", LOAD, env=environment).stdout, extension

    return build


def test_the_extension_is_built_in_place_with_its_libraries(build):
    """It loads from the source tree, with the libraries beside it."""
    output, extension = build()
    assert output == "4\n"
    assert list((extension.parent / "lib").iterdir())


def test_without_a_change_nothing_is_compiled_again(build, tiny_checkout):
    """The second run is for nothing; a changed shim is seen."""
    made = build()[1].stat().st_mtime_ns
    assert build()[1].stat().st_mtime_ns == made
    shim = tiny_checkout / "ffi" / "shim" / "all.cpp"
    shim.write_text(SHIM.replace("+ 1", "+ 2"))
    output, extension = build()
    assert output == "5\n"
    assert extension.stat().st_mtime_ns != made


def test_another_llama_cpp_is_compiled_against_again(build, tiny_prefix, tmp_path):
    """Though its files may be older than the extension."""
    made = build()[1].stat().st_mtime_ns
    other = shutil.copytree(tiny_prefix, tmp_path / "other")
    record = other / "_build_info.json"
    record.write_text(record.read_text().replace("tree-", "other-"))
    assert build(other)[1].stat().st_mtime_ns != made


def test_libraries_of_a_system_are_found_though_they_have_no_run_path(
    run, build, tiny_llama_cpp, tmp_path
):
    """As a distribution's packages install them, with versions in their names."""
    versions = "set_target_properties(ggml-base ggml-cpu ggml llama PROPERTIES SOVERSION 0)\n"
    with (tiny_llama_cpp / "CMakeLists.txt").open("a") as file:
        file.write(versions)
    cmake = find_tool("cmake", "CMAKE_BIN_DIR")
    for command in (["-S", tiny_llama_cpp, "-B", tmp_path / "b"], ["--build", tmp_path / "b"]):
        assert run(cmake, *command).returncode == 0
    system = tmp_path / "system"
    assert run(cmake, "--install", tmp_path / "b", "--prefix", system).returncode == 0
    assert build(system)[0] == "4\n"


def test_a_source_tree_that_was_not_built_says_how_to_build_it(run, checkout, clean_environment):
    """Instead of a missing module."""
    environment = clean_environment | {"PYTHONPATH": str(checkout / "src")}
    result = run(sys.executable, "-c", LOAD, env=environment)
    assert "ExtensionLoadError: the extension of headrace-llamacpp-ffi was not" in result.stdout
    assert "python build_ffi.py" in result.stdout


def test_the_build_script_can_be_imported_without_llama_cpp(run, checkout, clean_environment):
    """Front ends import it to ask for metadata only."""
    script = "import build_ffi; print(build_ffi.ffibuilder._assigned_source[0])"
    result = run(sys.executable, "-c", script, cwd=checkout, env=clean_environment)
    assert result.stdout == "headrace_llamacpp_ffi._ffi\n"


def test_a_header_that_does_not_fit_is_one_clear_message(
    run, checkout, tiny_prefix, clean_environment
):
    """The last lines say which llama.cpp it was and how to get back to the right one."""
    environment = clean_environment | {"HEADRACE_LLAMA_CPP_PREFIX": str(tiny_prefix)}
    result = run(sys.executable, "build_ffi.py", cwd=checkout, env=environment)
    *_, problem, remedy = result.stdout.splitlines()
    assert result.returncode == 1
    assert problem.startswith("headrace: error: the extension does not compile against llama.cpp")
    assert problem.endswith(f"(headers in {tiny_prefix / 'include'}).")
    assert "unset HEADRACE_LLAMA_CPP_SOURCE" in remedy
    assert "Traceback" not in result.stdout


def test_a_declaration_that_cannot_be_read_is_named_with_its_file(run, checkout, clean_environment):
    """The reader of declarations is not a compiler, and says less."""
    (checkout / "ffi" / "cdef" / "99_broken.h").write_text("int fine(void);\nint (broken;\n")
    result = run(sys.executable, "build_ffi.py", cwd=checkout, env=clean_environment)
    assert result.returncode == 1
    assert "ffi/cdef/99_broken.h:2" in result.stdout
    assert "Traceback" not in result.stdout


def test_what_a_front_end_asks_for_first_needs_nothing(run, checkout, clean_environment):
    """The metadata comes without compiler, network or llama.cpp."""
    environment = clean_environment | {"PATH": str(checkout), "CC": "", "CXX": ""}
    result = run(sys.executable, "setup.py", "--quiet", "--version", cwd=checkout, env=environment)
    assert result.stdout.splitlines()[-1] == "0.1.0"
