"""The switches of the build."""

from __future__ import annotations

from pathlib import Path

import pytest

from native_build.errors import BuildError
from native_build.settings import Settings


def test_without_switches_the_pinned_llama_cpp_is_built_for_this_machine():
    """An empty environment gives the defaults."""
    settings = Settings.from_environment({})
    assert settings.source_dir is None
    assert settings.prefix is None
    assert settings.cmake_args == ()
    assert not settings.portable
    assert settings.barrier
    assert settings.attention


def test_the_cache_is_where_it_is_told_to_be():
    """The variable of headrace goes before that of the platform."""
    environ = {"XDG_CACHE_HOME": "/xdg"}
    assert Settings.from_environment(environ).cache_dir == Path("/xdg/headrace")
    environ["HEADRACE_CACHE_DIR"] = "/mine"
    assert Settings.from_environment(environ).cache_dir == Path("/mine")


def test_cmake_arguments_are_split_like_a_command_line():
    """Quotes keep an option with spaces in one piece."""
    environ = {"HEADRACE_CMAKE_ARGS": "-DGGML_CUDA=ON '-DCMAKE_CXX_FLAGS=-O2 -g'"}
    expected = ("-DGGML_CUDA=ON", "-DCMAKE_CXX_FLAGS=-O2 -g")
    assert Settings.from_environment(environ).cmake_args == expected


@pytest.mark.parametrize(
    ("word", "meaning"), [("1", True), ("ON", True), ("", False), ("0", False), ("no", False)]
)
def test_portable_is_switched_by_the_usual_words(word, meaning):
    """On and off have several spellings."""
    assert Settings.from_environment({"HEADRACE_PORTABLE": word}).portable is meaning


@pytest.mark.parametrize(
    ("word", "meaning"), [("0", False), ("off", False), ("", True), ("1", True)]
)
@pytest.mark.parametrize("name", ["barrier", "attention"])
def test_a_patch_is_there_unless_it_is_switched_off(name, word, meaning):
    """An empty variable is one that is not set."""
    settings = Settings.from_environment({f"HEADRACE_{name.upper()}": word})
    assert getattr(settings, name) is meaning


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"HEADRACE_PORTABLE": "maybe"}, "HEADRACE_PORTABLE is 'maybe'"),
        ({"HEADRACE_CMAKE_ARGS": "-DX='1"}, "HEADRACE_CMAKE_ARGS cannot be split"),
        ({"HEADRACE_LLAMA_CPP_SOURCE": "/nowhere"}, "HEADRACE_LLAMA_CPP_SOURCE is /nowhere, but"),
        ({"HEADRACE_LLAMA_CPP_PREFIX": "/nowhere"}, "HEADRACE_LLAMA_CPP_PREFIX is /nowhere, but"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named(environ, message):
    """The message names the variable, what it holds, and what to do."""
    with pytest.raises(BuildError, match=f"(?s){message}.*what to do:"):
        Settings.from_environment(environ)


@pytest.mark.parametrize(
    "other", ["HEADRACE_LLAMA_CPP_SOURCE", "HEADRACE_CMAKE_ARGS", "HEADRACE_PORTABLE"]
)
def test_switches_of_a_build_exclude_an_installed_llama_cpp(tiny_llama_cpp, other):
    """What would be silently ignored is refused."""
    values = {"HEADRACE_CMAKE_ARGS": "-DX=1", "HEADRACE_PORTABLE": "1"}
    environ = {"HEADRACE_LLAMA_CPP_PREFIX": str(tiny_llama_cpp)}
    environ[other] = values.get(other, str(tiny_llama_cpp))
    with pytest.raises(BuildError, match=f"{other} are both set"):
        Settings.from_environment(environ)
