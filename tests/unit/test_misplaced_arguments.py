"""Arguments of the wrong kind in the right place: each is refused by name, before anything runs."""

from __future__ import annotations

import errno
import io

import pytest

import headrace
from headrace import ParamsError, StateError


@pytest.fixture
def model():
    """A fake model."""
    with headrace.load_model("fake:Hello") as model:
        yield model


@pytest.mark.parametrize(
    "params", [headrace.EngineParams(), headrace.SamplingParams(), {}, [], "x", {"keep": 1}]
)
def test_open_session_takes_settings_of_sessions(model, params):
    """Not those of something else, and no dict."""
    with pytest.raises(ParamsError, match="params must be SessionParams or None"):
        model.open_session(params)


@pytest.mark.parametrize("message", [{1: 2}, {"role": "user", None: "x"}])
def test_names_in_messages_are_text(model, message):
    """Whatever else they are."""
    with pytest.raises(ParamsError, match="has no parameter"):
        model.open_session().chat([message])


@pytest.mark.parametrize("arguments", [{"x": object()}, {"x": float("nan")}])
def test_arguments_of_a_call_are_json(model, arguments):
    """The place is named."""
    call = {"type": "function", "function": {"name": "f", "arguments": arguments}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    with pytest.raises(ParamsError, match=r"arguments cannot be written as JSON"):
        model.open_session().chat([message])


@pytest.mark.parametrize("path", [None, 3, b""])
def test_paths_of_files_are_paths(path):
    """Or strings."""
    with pytest.raises(ParamsError, match="must be a string or a path"):
        headrace.inspect_file(path)
    with pytest.raises(ParamsError, match="must be a string or a path"):
        headrace.merge_model(path, "x")


def test_a_time_out_is_a_number_of_this_world(model):
    """Not one that no float can hold."""
    with pytest.raises(ParamsError, match="timeout must be a number of seconds"):
        model.open_session().generate("Say", timeout=10**400)


class Full(io.RawIOBase):
    """A file without room."""

    def write(self, data):
        """Never."""
        raise OSError(errno.ENOSPC, "No space left on device")


class Slow(io.RawIOBase):
    """An unbuffered file that takes seven bytes at a time."""

    def __init__(self):
        self.data = bytearray()

    def write(self, data):
        """A few."""
        self.data += bytes(data)[:7]
        return min(7, len(data))


def test_files_of_states_that_fail_are_state_errors(model, tmp_path):
    """As paths are."""
    session = model.open_session()
    session.complete("Say")
    with pytest.raises(StateError, match="No space left"):
        session.save_state(Full())
    path = tmp_path / "state"
    session.save_state(path)
    with path.open("rb") as file, pytest.raises(StateError, match="cannot be written"):
        session.save_state(file)
    with path.open("rb") as file:
        file.close()
        with pytest.raises(StateError, match="cannot be read"):
            session.load_state(file)


def test_a_file_that_takes_a_little_at_a_time_gets_all(model):
    """Nothing is cut off in silence."""
    session = model.open_session()
    session.complete("Say")
    slow = Slow()
    session.save_state(slow)
    with model.open_session() as other:
        other.load_state(bytes(slow.data))
        assert other.tokens == session.tokens
