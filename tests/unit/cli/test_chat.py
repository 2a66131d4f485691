"""``headrace chat``: one answer in a pipe, a conversation on a terminal."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty")  # not on Windows


def test_a_message_gets_one_answer(call):
    """On stdout, with a summary on stderr."""
    ended = call("chat", "fake:Hello", "Hi", "--system", "Be brief.")
    assert (ended.code, ended.out) == (0, "Hello\n")
    assert ended.err.startswith("[eog] · prompt ")


def test_a_message_can_be_piped_in(call):
    """All of stdin is one message."""
    ended = call("chat", "-q", "fake:Hello", stdin=b"one\ntwo\n")
    assert (ended.code, ended.out, ended.err) == (0, "Hello\n", "")


def test_json_has_all_of_the_answer(call):
    """Also the thoughts, which a pipe is not shown."""
    reference = "fake:<think>Hm.</think>Yes."
    assert call("chat", "-q", reference, "Hi").out == "Yes.\n"
    found = json.loads(call("chat", "-q", "--json", reference, "Hi").out)
    assert found["message"]["reasoning"] == "Hm."
    assert found["message"]["content"] == "Yes."


@pytest.mark.parametrize("arguments", [["chat", "fake:x"], ["run", "fake:x"]])
@pytest.mark.parametrize("stdin", [b"", b"\n"])
def test_an_empty_pipe_ends_it_before_a_model_is_loaded(call, arguments, stdin):
    """In the words of the command line."""
    ended = call(*arguments, stdin=stdin)
    assert (ended.code, ended.out) == (2, "")
    assert "must not be empty" in ended.err
    assert "None" not in ended.err


def test_options_reach_the_answer(call):
    """Those of sampling and of the end."""
    ended = call("chat", "fake:Hello", "Hi", "-n", "2", "--seed", "7")
    assert ended.out == "He\n"
    assert "[max_tokens]" in ended.err
    assert "seed 7" in ended.err
    assert call("chat", "-q", "fake:Hello", "Hi", "--stop", "l").out == "He\n"
    assert call("chat", "fake:Hello", "Hi", "--temperature", "-1").code == 2


def test_a_template_that_is_not_there_is_a_usage_error(call, tmp_path):
    """And so is one that is no text."""
    missing = str(tmp_path / "x.jinja")
    ended = call("chat", "fake:Hello", "Hi", "--template", missing)
    assert ended.code == 2
    assert "x.jinja' cannot be read: No such file" in ended.err
    (tmp_path / "x.jinja").write_bytes(b"\xff")
    assert "it is not UTF-8" in call("chat", "fake:Hello", "Hi", "--template", missing).err


def test_a_template_that_cannot_be_used_is_told_at_once(call, tmp_path):
    """Before a message is typed: here the fake has no templates."""
    path = tmp_path / "x.jinja"
    path.write_text("{{ messages }}")
    ended = call("chat", "fake:Hello", "Hi", "--template", str(path))
    assert ended.code == 1
    assert "renders no templates" in ended.err


class Terminal:
    """The command on a terminal of its own, to type into."""

    def __init__(self, *arguments: str) -> None:
        import fcntl
        import termios

        self._own, other = pty.openpty()

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(other, termios.TIOCSCTTY, 0)

        self._process = subprocess.Popen(
            [sys.executable, "-m", "headrace", "chat", *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            preexec_fn=take_terminal,
            env={**os.environ, "TERM": "dumb", "INPUTRC": os.devnull},
        )
        os.close(other)
        self._seen = ""

    def read_until(self, text: str) -> str:
        """What is shown up to a text; a program that ends without it fails the test."""
        while text not in self._seen:
            # The limit is there so that a hang fails instead of lasting for ever.
            ready, _, _ = select.select([self._own], [], [], 60)
            try:
                data = os.read(self._own, 4096) if ready else b""
            except OSError:  # Linux: the other side is closed
                data = b""
            assert data, f"{text!r} is not in {self._seen!r}"
            self._seen += data.decode(errors="replace").replace("\r\n", "\n")
        shown, _, self._seen = self._seen.partition(text)
        return shown

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._own, text.encode())

    def say(self, text: str) -> str:
        """Type a message at the prompt; what is shown until the next prompt."""
        self.type(text + "\n")
        self.read_until(text.rpartition("\n")[2] + "\n")
        return self.read_until("> ")

    def end(self) -> int:
        """Press Ctrl-D; the exit code."""
        self.type("\x04")
        return self._process.wait(timeout=60)

    def close(self) -> None:
        """End the program, if it is still there."""
        self._process.kill()
        self._process.wait()
        os.close(self._own)


@pytest.fixture
def terminal():
    """Starts ``headrace chat`` on a terminal."""
    opened = []

    def open_(*arguments: str) -> Terminal:
        opened.append(Terminal(*arguments))
        opened[-1].read_until("> ")
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def test_a_conversation_goes_on_until_ctrl_d(terminal):
    """Each message is answered with those before it in the history."""
    talk = terminal("fake:Hello")
    assert talk.say("one") == "Hello\n"
    first = talk.say("/stats")
    assert talk.say("two") == "Hello\n"
    prompts = [int(text.split("prompt ")[1].split()[0]) for text in (first, talk.say("/stats"))]
    assert prompts[1] > prompts[0] + len("Hello")
    assert talk.end() == 0


def test_commands(terminal):
    """Help, system, reset, and one that there is not."""
    talk = terminal("fake:Hello", "--system", "Be kind.")
    assert "/reset" in talk.say("/help")
    assert "Be kind." in talk.say("/system")
    assert "a new conversation" in talk.say("/system Be brief.")
    assert "Be brief." in talk.say("/system")
    assert "a new conversation" in talk.say("/reset")
    assert "There is no command /x" in talk.say("/x")
    talk.type("/exit\n")
    assert talk._process.wait(timeout=60) == 0


def test_a_message_may_have_many_lines(terminal):
    """With a backslash at the end of a line, or between three quotes."""
    talk = terminal("fake:ok")
    talk.type("one\\\n")
    talk.read_until(". ")
    assert talk.say("two") == "ok\n"
    talk.type('"""one\n')
    talk.read_until(". ")
    assert talk.say('two"""') == "ok\n"


def test_ctrl_c_stops_the_answer_and_not_the_program(terminal):
    """An answer without an end; what was said stays in the conversation."""
    talk = terminal("fake:#mean_length=0&delay=0.01", "--n-ctx", "4000")
    talk.type("one\n")
    talk.read_until("one\n")
    begun = b""
    while len(begun) < 40:  # more than what an editor of lines says of itself: the answer's text
        begun += os.read(talk._own, 40)
    talk.type("\x03")
    assert "(stopped)" in talk.read_until("> ")
    assert "[cancelled]" in talk.say("/stats")
    # The prompt is shown before ``input`` waits: a Ctrl-C between the two is seen with the next
    # line, as any signal that comes just before a wait.
    talk.type("\x03")
    talk.type("\n")
    talk.read_until("(Ctrl-D ends)")
    talk.read_until("> ")
    assert talk.end() == 0


def test_an_error_ends_the_answer_and_not_the_program(terminal):
    """Such as a message that does not fit."""
    talk = terminal("fake:Hello", "--n-ctx", "48")
    assert "error: the conversation does not fit" in talk.say("x" * 60)
    assert talk.say("Hi") == "Hello\n"
