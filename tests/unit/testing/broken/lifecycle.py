"""Handles that do not close as they should."""

from __future__ import annotations

from tests.unit.testing.broken.making import (
    breaks,
    change_class,
    wrap,
)


@breaks("lifecycle.close_twice")
def _(session):
    closed = []

    def once(inner):
        if closed:
            raise RuntimeError("closed already")
        closed.append(True)
        inner()

    wrap(session, "close", once)


@breaks("lifecycle.closed_session")
def _(session):
    session.close = lambda: None


@breaks("lifecycle.closed_model")
def _(model):
    model.close = lambda: None


@breaks("lifecycle.closed_under_stream")
def _(session):
    streams = []

    def keep(inner, *args, **keywords):
        streams.append(inner(*args, **keywords))
        return streams[-1]

    def close(inner):
        for stream in streams:
            stream.close()
        inner()

    wrap(session, "generate", keep)
    wrap(session, "close", close)


@breaks("lifecycle.any_order")
def _(session):
    def close(inner):
        session._model._check_open()
        inner()

    wrap(session, "close", close)


@breaks("lifecycle.blocks")
def _(session):
    change_class(session, __exit__=lambda self, *error: None)


@breaks("lifecycle.fork")
def _(model):
    model._check_process = lambda: None
