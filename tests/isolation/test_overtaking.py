"""Notes that arrive before the requests they are about, as after a child was stopped."""

from __future__ import annotations

import pytest

import headrace
from headrace import ClosedError, EngineParams, ModelParams, SessionParams
from headrace.requests.vectors import EmbedRequest
from headrace_subprocess.child.serving import Server
from headrace_subprocess.child.work import Works
from headrace_subprocess.signals import Note, Signal


class Unread:
    """A channel that nobody reads."""

    def send(self, message):
        """To nobody."""


@pytest.fixture
def server():
    """What serves a fake, in this process."""
    server = Server()
    load = ("fake", "fake:#mean_length=0", ModelParams(), EngineParams(), {})
    assert server._answer(Unread(), "load", list(load))[0] == "answer"
    yield server
    server.shut_down()


def test_a_session_that_was_dropped_before_it_was_open_is_not_kept(server):
    """Nobody knows of it, and it would hold its memory for as long as the model lives."""
    server.take_note(Note(Signal.DROP, 5))
    assert server._answer(Unread(), "open", [5, SessionParams(), []])[0] == "answer"
    kind, error = server._answer(Unread(), "history", [5, "tokens", 0])
    assert (kind, type(error)) == ("error", ClosedError)
    assert server._answer(Unread(), "open", [6, SessionParams(), []])[0] == "answer"
    assert server._answer(Unread(), "history", [6, "tokens", 0]) == ("answer", [])


def test_a_call_that_was_stopped_before_it_began_does_not_run():
    """Its work would be for nobody."""
    works = Works()
    works.stop(7)
    with headrace.load_model("fake:#prefill_delay=1000") as model:
        with pytest.raises(ClosedError):
            works.run(Unread(), 7, model, None, EmbedRequest(texts="a text"))
        with headrace.load_model("fake:") as quick:
            assert works.run(Unread(), 8, quick, None, EmbedRequest(texts="a text"))


def test_a_note_that_fails_is_not_the_end_of_notes(server):
    """Whatever a backend raises when it is told of one: the next is another's."""
    import os

    from headrace_subprocess import signals
    from headrace_subprocess.child.__main__ import _listen

    class Broken:
        def close(self):
            raise SystemExit("broken")

    server._things.keep(1, Broken())
    told = server._things.keep(2, type("Told", (), {"close": lambda self: closed.append(2)})())
    closed = []
    read, write = os.pipe()
    signals.send(write, Note(Signal.FORGET, 1))
    signals.send(write, Note(Signal.FORGET, 2))
    os.close(write)
    _listen(read, server)
    os.close(read)
    assert closed == [2], told
