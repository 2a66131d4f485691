"""Every end of a command: one readable line, a hint, and the right exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import headrace

# A test runner in the background may have started this process with SIGINT ignored.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from headrace.cli import main
main(sys.argv[1:])
"""
NEVER_ENDS = "fake:#mean_length=0&n_ctx=1000000"


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """The command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_failure_is_one_line_and_where_to_read_on_and_code_1(call):
    """No traceback."""
    ended = call("run", "fake:#load_fault=format", "hi")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "headrace: error: the fake backend fails to load (format), as it was told to\n"
        "more: docs/errors.md#modelformaterror\n"
    )


def test_a_hint_stands_on_its_own_line(call):
    """What to do about it."""
    ended = call("run", "fake:#sed=1", "hi")
    assert ended.code == 2
    assert ended.err.splitlines()[1] == "hint: Did you mean 'seed'?"


def test_a_missing_file_is_named(call):
    """The most common mistake."""
    ended = call("run", "no/such/file.gguf", "hi")
    assert ended.code == 1
    assert "there is no model file at 'no/such/file.gguf'" in ended.err


@pytest.mark.parametrize("where", [("run", "--debug", "fake:#load_fault=raise"),
                                   ("run", "fake:#load_fault=raise", "--debug"),
                                   ("--debug", "run", "fake:#load_fault=raise")])  # fmt: skip
def test_debug_shows_the_traceback_with_its_cause(call, where):
    """Wherever the option stands."""
    ended = call(*where, "hi")
    assert ended.code == 1
    assert "RuntimeError: the fake backend raises" in ended.err
    assert "direct cause" in ended.err


def test_debug_shows_the_native_log(call, monkeypatch):
    """Its last lines travel with the error."""

    def fail(*arguments, **settings):
        raise headrace.ModelLoadError("refused", native_log=["tensor 3 is odd"])

    monkeypatch.setattr(headrace, "load_model", fail)
    assert "native: tensor 3 is odd" in call("run", "x", "hi", "--debug").err
    assert call("run", "x", "hi").err.startswith("headrace: error: refused\nmore: ")


def test_a_message_of_several_lines_becomes_one(call, monkeypatch):
    """A native library's text may break lines."""

    def fail(*arguments, **settings):
        raise headrace.ModelLoadError("refused\nbecause\n  of this", hint="Do\nthat.")

    monkeypatch.setattr(headrace, "load_model", fail)
    ended = call("run", "x", "hi")
    assert ended.err.startswith("headrace: error: refused because of this\nhint: Do that.\nmore: ")


def test_a_defect_is_told_as_one(call, monkeypatch):
    """With the way to see more."""

    def fail(*arguments, **settings):
        raise ZeroDivisionError("in headrace")

    monkeypatch.setattr(headrace, "load_model", fail)
    ended = call("run", "x", "hi")
    assert ended.code == 1
    assert "ZeroDivisionError: in headrace" in ended.err
    assert "--debug" in ended.err
    assert "more:" not in ended.err


def test_usage_errors_of_click_keep_their_code(call):
    """2, as everywhere."""
    assert call("run").code == 2
    assert call("no-such-command").code == 2
    assert call("run", "--no-such-option", "fake:x").code == 2


def test_help_and_version_are_no_errors(call):
    """Both on stdout."""
    assert "Exit codes" in call("--help").out
    assert call("--version").out == f"headrace, version {headrace.__version__}\n"
    assert call("run", "-h").code == 0


def test_the_module_can_be_run_like_the_script():
    """``python -m headrace``."""
    command = [sys.executable, "-m", "headrace", "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("headrace, version")


def test_ctrl_c_ends_a_generation_and_keeps_its_text():
    """130, the text so far, the summary, no traceback."""
    with start("run", NEVER_ENDS + "&delay=0.001", "hi") as process:
        first = process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert first
    assert out.endswith(b"\n")
    assert err.startswith(b"[cancelled]")
    assert b"Traceback" not in err


def test_a_request_to_terminate_ends_a_command_at_once():
    """As the system does it, also in native code; nothing is said."""
    with start("run", NEVER_ENDS + "&delay=0.001", "hi") as process:
        process.stdout.read(1)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (-signal.SIGTERM, b"")


@pytest.mark.parametrize(
    "error",
    [
        OSError(24, "Too many open files", "model.gguf"),
        PermissionError(13, "Permission denied", "/root/x"),
        FileNotFoundError(2, "No such file or directory"),
        OSError(30, "Read-only file system"),
        MemoryError(),
        ModuleNotFoundError("No module named 'rich'"),
    ],
)
def test_what_the_system_refuses_is_no_defect(call, monkeypatch, error):
    """Plain words with the system's reason."""

    def fail(*arguments, **settings):
        raise error

    monkeypatch.setattr(headrace, "load_model", fail)
    ended = call("run", "x", "hi")
    assert ended.code == 1
    assert "defect" not in ended.err
    assert ended.err.startswith("headrace: error: ")
    assert "[Errno" not in ended.err
    assert (getattr(error, "strerror", None) or str(error)) in ended.err


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["run", "fake:x", "hi"], "--grammar"),
        (["run", "fake:x", "hi"], "--json-schema"),
        (["run", "fake:x", "hi"], "--load-state"),
        (["chat", "fake:x", "hi"], "--template"),
    ],
)
@pytest.mark.parametrize("kind", ["absent", "folder", "binary"])
def test_files_that_cannot_be_read_are_named(call, tmp_path, arguments, option, kind):
    """Absent, a folder, or no text."""
    path = tmp_path / "file"
    if kind == "folder":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(b"\xff\x00\xfe")
    ended = call(*arguments, option, str(path))
    assert ended.code in (1, 2)
    assert "Errno" not in ended.err
    assert "defect" not in ended.err
    assert str(path) in ended.err or "is not a state that headrace saved" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["chat", "fake:#load_delay=36000", "hi"],
        ["embed", "fake:#load_delay=36000", "hi"],
        ["rerank", "fake:#load_delay=36000", "hi", "document"],
        ["score", "fake:#load_delay=36000", "hi", "--json"],
        ["tokenize", "fake:#load_delay=36000", "hi"],
        ["info", "fake:#load_delay=36000"],
        ["run", "fake:#load_delay=36000", "hi", "--timeout", "3600"],
        ["doctor", "--model", "fake:#load_delay=36000"],
        [
            "conformance",
            "--backend",
            "fake",
            "--model",
            "fake:#load_delay=36000",
            "--rule",
            "cancel",
        ],
    ],
    ids=lambda arguments: arguments[0],
)
def test_ctrl_c_during_a_load_ends_it_without_a_traceback(arguments):
    """130 and one word, of every command."""
    announce = (
        "import time; sleep = time.sleep\n"
        "time.sleep = lambda seconds: (print('loading', flush=True), sleep(seconds))\n"
    )
    program = announce + PROGRAM
    command = [sys.executable, "-c", program, *arguments]
    environment = {**os.environ, "HEADRACE_PLUGINS": "headrace-fake"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout.readline() == b"loading\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, b"", b"headrace: interrupted")


def test_ctrl_c_while_stdin_is_read_ends_it_without_a_traceback(tmp_path):
    """Whoever pipes may never end."""
    program = (
        "from headrace.cli import texts\n"
        "read = texts.read_input\n"
        "texts.read_input = lambda name: (print('reading', flush=True), read(name))[1]\n"
    )
    command = [sys.executable, "-c", program + PROGRAM, "run", "fake:x"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"reading\n"
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        process.wait(timeout=60)
        process.stdin.close()
    assert (process.returncode, err.strip()) == (130, b"headrace: interrupted")


def test_a_reader_that_goes_away_ends_the_command_quietly():
    """As with ``| head``: no message, and the code that a closed pipe gives other tools."""
    with start("run", NEVER_ENDS, "hi") as process:
        process.stdout.read(10)
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=60)
    assert (process.returncode, err) == (141, b"")


def test_ctrl_c_while_the_program_is_still_being_imported_is_one_line(tmp_path):
    """An import that is interrupted, here of click, shows no traceback."""
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    ended = subprocess.run(
        [sys.executable, "-c", "from headrace_command import main; main()"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (130, "headrace: interrupted\n")


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        (["config.json", "model.safetensors"], "look for a GGUF file"),
        (["b.gguf", "a.gguf"], "Name a file in it: a.gguf, b.gguf."),
        ([], "Name a backend"),
    ],
)
def test_a_directory_is_told_what_to_name_instead(call, tmp_path, files, hint):
    """A checkpoint of a training framework, a folder of model files, or neither."""
    for name in files:
        (tmp_path / name).write_text("x")
    ended = call("run", str(tmp_path), "hi")
    assert ended.code == 1
    assert "a directory" in ended.err
    assert hint in ended.err
