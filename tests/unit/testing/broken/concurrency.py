"""Models that threads cannot share."""

from __future__ import annotations

import itertools
import threading

from headrace import (
    ClosedError,
    ModelMemoryError,
    StopReason,
)
from headrace.protocols import Delta
from tests.unit.testing.broken.making import (
    breaks,
    generating,
    wrap,
)


@generating("threads.share")
def _(session, inner, *args, **keywords):
    # The thread itself, not its number: that of one that has ended is another's soon.
    first = vars(session._model).setdefault("first_thread", threading.current_thread())
    if threading.current_thread() is not first:
        raise RuntimeError("not in the thread that came first")
    return inner(*args, **keywords)


@breaks("threads.move")
def _(session):
    opener = threading.get_ident()

    def generate(inner, *args, **keywords):
        if threading.get_ident() != opener:
            raise RuntimeError("not in the thread that opened it")
        return inner(*args, **keywords)

    wrap(session, "generate", generate)


@breaks("threads.no_seats")
def _(model):
    opened = itertools.count(1)

    def open_session(inner, *args):
        if next(opened) > model.engine_params.n_sequences:
            raise ModelMemoryError("no seat is free")
        return inner(*args)

    wrap(model, "open_session", open_session)


@breaks("threads.close")
def _(stream):
    def pull(inner, max_wait):
        try:
            return inner(max_wait)
        except ClosedError:
            return Delta(end=StopReason.CANCELLED)

    def deliver(inner, pieces):
        try:
            return inner(pieces)
        except ClosedError:
            return False

    wrap(stream._generation, "pull", pull)
    wrap(stream._generation, "deliver", deliver)
