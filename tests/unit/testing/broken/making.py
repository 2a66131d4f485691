"""Backends that break one rule each: the fake with something done to it, by the rule's id."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import attrs

from headrace import (
    SamplingParams,
)
from headrace.testing import Subject
from headrace_fake import FakeBackend

BREAKERS: dict[str, Callable[[], Subject]] = {}


class Broken(FakeBackend):
    """A fake to whose models, sessions and streams something is done when they are made."""

    def __init__(self, *, model=None, session=None, stream=None, load=None, **options) -> None:
        super().__init__(mean_length=0, **options)
        self._on_model = model
        self._on_session = session
        self._on_stream = stream
        self._on_load = load

    def load(self, request):
        """A model that opens broken sessions."""
        model = super().load(self._on_load(request) if self._on_load else request)
        open_session = model.open_session

        def opened(params=None):
            session = open_session(params)
            self._break(session)
            return session

        model.open_session = opened
        if self._on_model:
            self._on_model(model)
        return model

    def _break(self, session) -> None:
        if self._on_stream:
            generate = session.generate

            def generated(*args, **keywords):
                stream = generate(*args, **keywords)
                self._on_stream(stream)
                return stream

            session.generate = generated
        if self._on_session:
            self._on_session(session)


def subject(backend, **more) -> Subject:
    """What the kit is run on."""
    more = {"model": "fake:", "adapter": "fake:#seed=1", "examples": 10, **more}
    return Subject(backend=backend, **more)


def breaks(id: str, options=None, **more):
    """Enter a function that does something to a model, a session or a stream; its argument tells.

    With an argument ``backend`` it returns the broken backend. ``options`` are the fake's, others
    the subject's.
    """

    def enter(function):
        (kind,) = function.__code__.co_varnames[: function.__code__.co_argcount]

        def make() -> Subject:
            if kind == "backend":
                backend = function(FakeBackend)
            else:
                backend = Broken(**{kind: function}, **(options or {}))
            return subject(backend, **more)

        assert id not in BREAKERS, id
        BREAKERS[id] = make
        return function

    return enter


def wrap(thing, name: str, around: Callable[..., Any]) -> None:
    """Replace a method by ``around``, which gets the method it replaces as its first argument."""
    inner = getattr(thing, name)
    setattr(thing, name, lambda *args, **keywords: around(inner, *args, **keywords))


def change_class(thing, **members) -> None:
    """Replace what only a class can have, such as properties."""
    thing.__class__ = type(f"Broken{type(thing).__name__}", (type(thing),), members)


def generating(id: str, **more):
    """Enter a function that stands around ``session.generate``."""

    def enter(around):
        def session(session):
            wrap(session, "generate", lambda inner, *a, **k: around(session, inner, *a, **k))

        breaks(id, **more)(session)
        return around

    return enter


def settling(id: str, change: Callable[[Any], Any]) -> None:
    """Enter a backend that changes the report of its generations."""

    def stream(stream):
        wrap(stream._generation, "settle", lambda inner, *a, **k: change(inner(*a, **k)))

    breaks(id)(stream)


def replaced(text):
    """A text that can be encoded."""
    return text.encode(errors="replace").decode()


def run_ahead(stream):
    """Compute before anybody reads."""
    generation = stream._generation
    ready = [generation.pull(None)]
    wrap(generation, "pull", lambda inner, wait: ready.pop() if ready else inner(wait))


def deaf(stream):
    """Ignore a cancel."""
    stream._generation.interrupt = lambda reason: None


_numbers = itertools.count()


def restless(session, inner, prompt, *, sampling=None, **keywords):
    """Draw with a new seed each time."""
    drawn = SamplingParams(temperature=2.0, top_k=0, top_p=1, min_p=0, seed=next(_numbers))
    return inner(prompt, sampling=drawn, **keywords)


def pieces(id: str, change) -> None:
    """Enter a backend that changes the pieces of its streams."""

    def stream(stream):
        def pull(inner, max_wait):
            delta = inner(max_wait)
            return attrs.evolve(delta, pieces=tuple(map(change, delta.pieces)))

        wrap(stream._generation, "pull", pull)

    breaks(id)(stream)


def _then_shorter(session, inner, *args, **keywords):
    done = inner(*args, **keywords)
    session.rewind(to=len(session.tokens) - 1)
    return done


def shortened(id: str, name: str) -> None:
    """Enter a backend whose method leaves the history a token shorter."""

    @breaks(id)
    def _(session):
        wrap(session, name, lambda inner, *a, **k: _then_shorter(session, inner, *a, **k))
