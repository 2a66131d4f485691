"""What objects say of themselves: one line, at any moment, without a lock and without secrets."""

from __future__ import annotations

import threading

import pytest

from headrace import HeadraceError, ModelInfo
from headrace.protocols import Model, Session
from tests.contract.conftest import GREEDY
from tests.contract.test_chat import TEMPLATE

SECRET = "a secret prompt"


def described(thing):
    """What ``repr`` gives, which is one short line and no bare address."""
    text = repr(thing)
    assert text.startswith(f"<{type(thing).__name__}"), text
    assert " object at 0x" not in text
    assert "\n" not in text
    assert len(text) < 200
    assert SECRET not in text
    return text


def test_models_and_sessions_say_what_they_are_and_how_they_stand(target):
    """Open, at work, closed."""
    with target.load() as model:
        assert model.info.name in described(model)
        session = model.open_session()
        assert "idle" in described(session)
        stream = session.generate(SECRET, sampling=GREEDY, max_tokens=4, ignore_eog=True)
        assert "generating" in described(session)
        assert "running" in described(stream)
        list(stream)
        assert "max_tokens" in described(stream)
        assert "idle" in described(session)
        session.close()
        assert "closed" in described(session)
    assert "closed" in described(model)


def test_a_stream_that_failed_says_with_what(target):
    """The class alone: messages may be long."""
    with target.load() as model:
        stream = model.open_session().generate(SECRET, ignore_eog=True)
        next(stream)
    with pytest.raises(HeadraceError):
        list(stream)
    assert "failed with ClosedError" in described(stream)


def test_chats_and_adapters_too(model, target):
    """Whatever stands for something."""
    adapter = model.load_adapter(target.adapter(1))
    described(adapter)
    adapter.close()
    assert "closed" in described(adapter)
    with model.open_session() as session:
        # The tiny models have no template of their own.
        stream = session.chat(
            [{"role": "user", "content": SECRET}],
            template=None if model.info.backend == "fake" else TEMPLATE,
            max_tokens=2,
        )
        assert "running" in described(stream)
        stream.close()


def test_in_the_middle_of_a_step_nobody_waits_for_it(target):
    """A debugger asks while another thread holds every lock there is."""
    if target.isolated:
        pytest.skip("its engine is in another process")
    with target.load() as model, model.open_session() as session:
        stream = session.generate(SECRET, max_tokens=2)
        told, held, done = [], threading.Event(), threading.Event()

        def hold():
            with session.engine.mutex, stream._lock, model._lock:
                held.set()
                done.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        asking = threading.Thread(
            target=lambda: told.extend(map(described, (model, session, stream))), daemon=True
        )
        asking.start()
        asking.join(30)
        done.set()
        thread.join()
        assert len(told) == 3


def test_what_was_never_finished_says_so(model, session):
    """As a constructor that was interrupted leaves it: in a traceback's locals."""
    stream = session.generate(SECRET, max_tokens=1)
    for thing in (model, session, stream):
        kind = type(thing)
        assert repr(kind.__new__(kind)) == f"<{kind.__name__}, half made>"


class Remote(Model):
    """Of an author who writes no ``repr``."""

    def _open(self, params):
        return Conversation(self, params)


class Conversation(Session):
    """Of the same author."""

    def _begin(self, request):
        """Not asked here."""

    def _close(self):
        """Nothing to do."""


def test_tier_1_has_one_by_itself():
    """With what the core knows of it."""
    info = ModelInfo("mill", "remote", "1", "none", "far away", 0, 0)
    with Remote(info, frozenset()) as model, model.open_session() as session:
        assert repr(model) == "<Remote far away>"
        assert repr(session) == "<Conversation of 'mill'>"
    assert repr(session) == "<Conversation of 'mill': closed>"
