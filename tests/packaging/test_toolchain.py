"""The tools of the build, present and missing."""

from __future__ import annotations

import pytest

from native_build import requirements, toolchain
from native_build.errors import BuildError
from native_build.toolchain import Toolchain, find_tool


@pytest.fixture
def no_programs(tmp_path, monkeypatch):
    """A PATH without programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    return folder


def test_the_compilers_are_found_and_named_to_other_tools(monkeypatch):
    """CMake and setuptools read them from the environment."""
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    found = Toolchain.find()
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("CXX", "")
    found.export()
    assert toolchain.os.environ["CXX"] == " ".join(found.cxx.command)
    assert found.version == found.cxx.version != "unknown"


@pytest.mark.usefixtures("no_programs")
def test_a_missing_compiler_is_an_error_that_says_how_to_get_one():
    """Nothing is in PATH."""
    with pytest.raises(BuildError, match=r"(?s)no compiler found.*build-essential"):
        Toolchain.find()


def test_a_compiler_named_wrongly_is_named_in_the_error(monkeypatch):
    """The variable and what it holds."""
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    with pytest.raises(BuildError, match="CXX names the compiler no-such-compiler"):
        Toolchain.find()


def test_a_compiler_without_cxx17_is_refused(tmp_path, monkeypatch):
    """It is tried, not only found: its own words are shown."""
    broken = tmp_path / "broken-c++"
    broken.write_text("#!/bin/sh\necho cannot find string_view >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(BuildError, match=r"(?s)string_view.*cannot compile a small C\+\+17"):
        Toolchain.find()


def test_missing_headers_of_python_are_an_error_of_their_own(tmp_path, monkeypatch):
    """A system's Python often comes without them."""
    monkeypatch.setattr(toolchain.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(BuildError, match=r"(?s)C headers of Python.*python3-dev"):
        Toolchain.find()


@pytest.mark.usefixtures("no_programs")
def test_a_missing_build_tool_is_installed_with_pip():
    """Neither a Python package nor PATH has it."""
    with pytest.raises(BuildError, match="pip install no-such-tool"):
        find_tool("no-such-tool", "BIN_DIR")


def test_the_build_tools_of_this_python_go_first(no_programs):
    """They are found with an empty PATH."""
    assert find_tool("cmake", "CMAKE_BIN_DIR")
    assert find_tool("ninja", "BIN_DIR")


@pytest.mark.parametrize(("installed", "found"), [("65.5.0", "65.5.0 is"), (None, "it is not")])
def test_an_environment_without_the_build_requirements_is_told(monkeypatch, installed, found):
    """No front end prepared it; the message is a command that does."""

    def version(name):
        if installed is None:
            raise requirements.metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(requirements.metadata, "version", version)
    message = rf"(?s)setuptools 77 or later; {found} installed.*pip install"
    with pytest.raises(BuildError, match=message):
        requirements.check_requirements()
