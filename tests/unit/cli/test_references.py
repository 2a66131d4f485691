"""What somebody names as a model: files of every kind, addresses, ``~``; limits while it loads."""

from __future__ import annotations

import json
import os
import socket

import pytest

import headrace
from headrace.backend.plugins import Discovery, discover
from headrace.cli.app import app

LOADING = {
    "chat": ["Hi"],
    "embed": ["hi"],
    "info": [],
    "rerank": ["hi", "document"],
    "run": ["hi"],
    "score": ["hi"],
    "tokenize": ["hi"],
}


def _names(command):
    return {name for each in command.params for name in each.opts}


def test_every_command_that_loads_a_model_has_a_process_and_a_time_for_it():
    """``check`` has limits of its own, and ``gguf`` only reads files."""
    for name in (*LOADING, "demo", "conformance", "doctor"):
        assert {"--isolation", "--timeout"} <= _names(app.commands[name]), name


@pytest.mark.parametrize("command", LOADING)
def test_a_load_that_takes_too_long_is_told_as_that(call, command):
    """With code 1, and nothing on stdout."""
    ended = call(
        command,
        "fake:x#load_delay=3600",
        *LOADING[command],
        "--timeout",
        "0.1",
        "--backend",
        "fake",
    )
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("headrace: error: loading took longer than --timeout 0.1\nhint: ")


@pytest.mark.parametrize("command", ["chat", "run"])
def test_an_answer_that_takes_too_long_ends_with_what_there_is(call, command):
    """As in the library: an end is no failure."""
    ended = call(command, "fake:Hello#delay=3600", *LOADING[command], "--timeout", "1", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["stop_reason"] == "timed_out"


@pytest.mark.parametrize("command", ["embed", "rerank", "score"])
def test_work_that_takes_too_long_is_told_as_that(call, command):
    """It has no result that could be kept."""
    ended = call(command, "fake:x#delay=3600", *LOADING[command], "--timeout", "1")
    assert ended.code == 1
    assert "took longer than --timeout 1" in ended.err


@pytest.mark.parametrize("command", LOADING)
def test_a_time_that_is_none_is_refused_before_anything_is_loaded(call, command):
    """By the option's name."""
    for value in ("-1", "nan"):
        ended = call(command, "nothing.gguf", *LOADING[command], "--timeout", value)
        assert ended.code == 2
        assert "--timeout must be a number of seconds" in ended.err


@pytest.mark.parametrize("command", LOADING)
def test_isolation_reaches_the_load(call, command, monkeypatch):
    """As ``ModelParams.isolation``."""
    seen = []

    def load(reference, *, params, **rest):
        seen.append(params.isolation)
        raise headrace.ModelLoadError("seen")

    monkeypatch.setattr(headrace, "load_model", load)
    call(command, "fake:x", *LOADING[command], "--isolation")
    call(command, "fake:x", *LOADING[command])
    assert seen[0] == headrace.ModelParams(isolation="process").isolation
    assert seen[1] is None


# -- what is no model ------------------------------------------------------------


@pytest.mark.parametrize("name", ["pipe", "pipe.gguf"])
@pytest.mark.parametrize("command", [*LOADING, "gguf show", "check"])
def test_a_pipe_is_no_model_and_is_not_waited_for(call, tmp_path, command, name):
    """Nobody writes into it."""
    path = tmp_path / name
    os.mkfifo(path)
    ended = call(*command.split(), str(path), *LOADING.get(command, []))
    assert ended.code in (1, 2)
    assert "regular file" in ended.err + ended.out


def test_a_socket_and_a_device_are_no_models_either(call, tmp_path):
    """Whatever they are called."""
    path = tmp_path / "socket.gguf"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        for name in (str(path), "/dev/null", "/dev/zero"):
            ended = call("run", name, "hi")
            assert ended.code == 1
            assert "regular file" in ended.err


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("https://huggingface.example/org/repo/resolve/main/a/m.gguf?download=true",
         "Write hf:org/repo/a/m.gguf, or"),
        ("https://huggingface.example/org/repo/blob/v1/m.gguf", "Write hf:org/repo/m.gguf@v1, or"),
        ("https://example.org/m.gguf", "An address is not fetched: download it"),
        ("s3://bucket/m.gguf", "An address is not fetched: download it"),
        ("file:///models/m.gguf", "Name the path alone, without file://"),
        ("org/some-model", "name a file: hf:org/some-model/FILE"),
        ("~nobody-of-that-name/m.gguf", "~ is left as it is"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("backend", [None, "llamacpp"])
def test_what_is_no_path_is_explained(call, reference, hint, backend):
    """Whether or not a backend is named."""
    if backend is not None and discover().find(backend) is None:
        pytest.skip("headrace-llamacpp is not installed")
    if backend is not None:
        pytest.importorskip("headrace_llamacpp_ffi")
    ended = call("run", reference, "hi", *(["--backend", backend] if backend else []))
    assert ended.code == 1
    assert f"there is no model file at {reference!r}" in ended.err
    assert hint in ended.err


def test_a_home_folder_is_found_in_quotes(call, tmp_path, monkeypatch):
    """Shells leave ``~`` alone there, and in ``--option=~/file``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    ended = call("run", "~/m.gguf", "hi")
    assert f"there is no model file at {str(tmp_path / 'm.gguf')!r}" in ended.err
    state = tmp_path / "state"
    assert call("run", "fake:x", "hi", "-q", "--save-state=~/state").code == 0
    assert state.is_file()
    (tmp_path / "g.gbnf").write_text('root ::= "yes"')
    assert call("run", "-q", "fake:", "hi", "--grammar=~/g.gbnf").out == "yes\n"


def test_a_path_of_the_library_is_not_expanded():
    """A program does that itself, and is told."""
    with pytest.raises(headrace.ModelNotFoundError) as caught:
        headrace.load_model("~/no-such-model")
    assert os.path.expanduser("~/no-such-model") in caught.value.hint


def test_a_gguf_file_without_its_backend_names_what_to_install(call, tmp_path, monkeypatch):
    """What whoever begins is most likely to lack."""
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + bytes(60))
    monkeypatch.delenv("HEADRACE_PLUGINS", raising=False)
    found = discover()
    kept = tuple(each for each in found.backends if each.name == "fake")
    others = Discovery(kept, found.quarantine, found.resolvers)
    monkeypatch.setattr("headrace.loading.choose.look", lambda **how: others)
    ended = call("run", str(path), "hi")
    assert ended.code == 1
    assert "hint: It is a GGUF file: pip install headrace-llamacpp\n" in ended.err
    with pytest.raises(headrace.BackendNotFoundError, match="pip install headrace-llamacpp"):
        headrace.load_model(path)


# -- states ------------------------------------------------------------------------


@pytest.fixture
def unloadable(monkeypatch):
    """No model may be loaded."""
    monkeypatch.setattr(headrace, "load_model", None)


@pytest.mark.parametrize("option", ["--save-state", "--load-state"])
def test_a_state_in_a_folder_that_is_not_there_is_told_at_once(call, tmp_path, unloadable, option):
    """Not after the generation."""
    ended = call("run", "fake:x", "hi", option, str(tmp_path / "none" / "state"))
    assert ended.code == 1
    assert "more: docs/errors.md#stateerror" in ended.err


def test_a_state_replaces_no_pipe_device_or_folder(call, tmp_path, unloadable):
    """Only a file, or what a link to one names."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    for target in (pipe, link, tmp_path, "/dev/full"):
        ended = call("run", "fake:x", "hi", "--save-state", str(target))
        assert ended.code == 2
        assert "--save-state must name a new file or a regular one" in ended.err


def test_a_folder_without_write_permission_is_told_at_once(call, tmp_path, unloadable):
    """Of everybody but root."""
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    ended = call("run", "fake:x", "hi", "--save-state", str(tmp_path / "state"))
    assert ended.code == 1
    assert "cannot be written to" in ended.err
