"""``python build_ffi.py`` on a copy of the checkout, without llama.cpp or with the wrong one."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def tiny_prefix(tiny_llama_cpp, build_libraries, tmp_path):
    """An installation of the miniature tree."""
    result = build_libraries(HEADRACE_LLAMA_CPP_SOURCE=str(tiny_llama_cpp))
    assert result.returncode == 0, result.stdout
    (prefix,) = (tmp_path / "cache" / "libraries").iterdir()
    return prefix


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
    assert str(tiny_prefix) in problem
    assert "unset HEADRACE_LLAMA_CPP_SOURCE" in remedy
    assert "Traceback" not in result.stdout


def test_a_declaration_that_cannot_be_read_is_named_with_its_file(run, checkout, clean_environment):
    """The reader of declarations is not a compiler, and says less."""
    (checkout / "ffi" / "cdef" / "99_broken.h").write_text("int fine(void);\nint (broken;\n")
    result = run(sys.executable, "build_ffi.py", cwd=checkout, env=clean_environment)
    assert result.returncode == 1
    assert "ffi/cdef/99_broken.h:2" in result.stdout


def test_what_a_front_end_asks_for_first_needs_nothing(run, checkout, clean_environment):
    """The metadata comes without compiler, network or llama.cpp."""
    environment = clean_environment | {"PATH": str(checkout), "CC": "", "CXX": ""}
    result = run(sys.executable, "setup.py", "--quiet", "--version", cwd=checkout, env=environment)
    assert result.stdout.splitlines()[-1] == "0.1.0"
