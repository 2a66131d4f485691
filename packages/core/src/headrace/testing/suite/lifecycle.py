"""Closing, dropping, forking the process: in whatever order."""

from __future__ import annotations

import gc
import itertools
import os
import warnings
from collections.abc import Callable
from typing import Any

from headrace.errors import ClosedError, ForkedProcessError
from headrace.results import Capability
from headrace.testing.kit import Kit, NotApplicable, expect, expect_equal, expect_error
from headrace.testing.rules import rule
from headrace.testing.threads import in_child


@rule("lifecycle.close_twice")
def close_twice(kit: Kit) -> None:
    """Closing again does nothing."""
    model = kit.load()
    session = model.open_session()
    stream = kit.stream(session)
    next(stream)
    for handle in (stream, session, model):
        handle.close()
        handle.close()


@rule("lifecycle.closed_session")
def closed_session(kit: Kit) -> None:
    """A closed session raises ClosedError."""
    session = kit.session()
    kit.say(session, n=2)
    session.close()
    expect_error(ClosedError, lambda: kit.stream(session), "generate")


@rule("lifecycle.closed_model")
def closed_model(kit: Kit) -> None:
    """A closed model and its sessions raise ClosedError."""
    model = kit.load()
    session = model.open_session()
    kit.say(session, n=2)
    model.close()
    expect_error(ClosedError, model.open_session, "open_session")
    expect_error(ClosedError, lambda: kit.stream(session), "generate of its session")
    if Capability.TOKENIZE in kit.model.capabilities:
        expect_error(ClosedError, lambda: model.tokenize("x"), "tokenize")


@rule("lifecycle.closed_under_stream")
def closed_under_stream(kit: Kit) -> None:
    """A stream whose session is closed raises ClosedError."""
    session = kit.session()
    stream = kit.stream(session)
    next(stream)
    session.close()
    expect_error(ClosedError, lambda: list(stream), "reading on")
    expect_error(ClosedError, lambda: stream.result, "its result")


@rule("lifecycle.any_order")
def any_order(kit: Kit) -> None:
    """Model, session and stream are closed or dropped in any order."""
    names = ("model", "session", "stream")
    for order in itertools.permutations(names):
        for how in ("close", "drop"):
            held = _things(kit)
            for name in order:
                if how == "close":
                    held[name].close()
                else:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", ResourceWarning)
                        del held[name]
                        gc.collect()
    expect(kit.say(kit.session(), n=2).text, "nothing was written afterwards")


def _things(kit: Kit) -> dict[str, Any]:
    model = kit.load()
    session = model.open_session()
    stream = kit.stream(session)
    next(stream)
    return {"model": model, "session": session, "stream": stream}


@rule("lifecycle.blocks")
def blocks(kit: Kit) -> None:
    """A with block gives the handle and closes it."""
    with kit.load() as model:
        with model.open_session() as session, kit.stream(session) as stream:
            next(stream)
        expect_error(ClosedError, lambda: kit.stream(session), "generate after the block")
    expect_error(ClosedError, model.open_session, "open_session after the block")


@rule("lifecycle.fork")
def fork(kit: Kit) -> None:
    """In a forked child every handle raises ForkedProcessError."""
    if not hasattr(os, "fork"):
        raise NotApplicable("this system does not fork")
    model = kit.model
    with kit.session() as session, kit.stream(session, n=8) as stream:
        next(stream)
        calls: dict[str, Callable[[], object]] = {
            "open_session": model.open_session,
            "generate": lambda: session.generate("x"),
            "next(stream)": lambda: next(stream),
            "stream.cancel": stream.cancel,
        }
        for name, call in calls.items():
            expect_equal(in_child(call), ForkedProcessError.__name__, f"{name} in a child")
        for handle in (session, model):
            expect_equal(in_child(handle.close), "None", "closing in a child")
        for _ in stream:
            pass
        expect(stream.result.text, "the parent's stream did not go on")
