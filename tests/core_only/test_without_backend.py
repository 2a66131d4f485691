"""The core alone: quick to import, nothing native, and it says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

import headrace
from headrace.backend.plugins import discover


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


def headrace_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "headrace", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_no_backend_is_installed_here():
    """Otherwise the tests of this folder prove nothing."""
    found = discover()
    assert (found.backends, found.quarantine) == ((), ())


@pytest.mark.parametrize(
    "module", ["click", "rich", "cffi", "_cffi_backend", "ctypes", "numpy", "pluggy", "asyncio"]
)
def test_importing_headrace_does_not_import(module):
    """Only what everybody needs is imported at the start."""
    ended = python(f"import sys, headrace; sys.exit({module!r} in sys.modules)")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_load_model_says_how_to_install_a_backend():
    """Whether or not the file exists."""
    for reference in ("model.gguf", __file__):
        with pytest.raises(headrace.BackendNotFoundError, match="pip install headrace-llamacpp"):
            headrace.load_model(reference)


def test_asking_for_a_backend_by_name_says_so_too():
    """The name is repeated."""
    with pytest.raises(headrace.BackendNotFoundError, match=r"'llamacpp'.*pip install"):
        headrace.load_model("model.gguf", backend="llamacpp")


def test_the_command_line_lists_no_backends_and_is_no_failure():
    """An empty list is an answer."""
    ended = headrace_command("backends")
    assert ended.returncode == 0
    assert "No backend is installed" in ended.stdout
    assert "pip install headrace-llamacpp" in ended.stdout


def test_the_doctor_works_and_says_what_to_install():
    """Exit code 1: nothing can be loaded."""
    ended = headrace_command("doctor")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "BROKEN: backends: there is no backend that could load a model" in ended.stdout
    assert "pip install headrace-llamacpp" in ended.stdout


@pytest.mark.parametrize("command", [["run", "m.gguf", "hi"], ["info", "m.gguf"], ["demo"]])
def test_commands_that_need_a_backend_say_how_to_install_one(command):
    """Before they download anything."""
    ended = headrace_command(*command)
    assert ended.returncode == 1
    assert "hint: Install one: pip install headrace-llamacpp" in ended.stderr


def test_the_installed_script_is_there():
    """``pip install headrace`` brings the command."""
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="headrace")
    assert script.value == "headrace_command:main"


def test_serving_says_what_to_install():
    """The server is a distribution of its own."""
    ended = headrace_command("serve", "model.gguf")
    assert ended.returncode == 2
    assert "No such command 'serve'. headrace-server brings it" in ended.stderr
    assert "pip install 'headrace[server]'" in ended.stderr
    listed = headrace_command("--help").stdout.partition("Commands:")[2]
    assert "serve" not in [line.split()[0] for line in listed.splitlines() if line.strip()]
