"""What a process ended with is told to everyone who asks, each time anew."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import weakref

import pytest

from headrace import HeadraceError


def _failed(stream):
    with contextlib.suppress(HeadraceError):
        list(stream)
    return stream


def _of_a_row(load):
    model = load("fake:#mean_length=0&fault=row&fault_at=2")
    return _failed(model.open_session().generate("x", max_tokens=8))


def _of_a_death(load):
    model = load()
    stream = model.open_session().generate("x", max_tokens=1000)
    next(stream)
    os.kill(model.client.worker.pid, signal.SIGKILL)
    return _failed(stream)


def _of_a_close(load):
    model = load()
    stream = model.open_session().generate("x", max_tokens=8)
    next(stream)
    model.close()
    return _failed(stream)


@pytest.mark.parametrize("make", [_of_a_row, _of_a_death, _of_a_close])
def test_a_failure_is_raised_anew_and_keeps_no_frame(load, make):
    """Whether the child told it or died of it."""

    class Local:
        pass

    stream = make(load)
    raised = []

    def caller():
        local = Local()
        for call in (lambda: stream.result, lambda: next(stream)):
            with pytest.raises(HeadraceError) as caught:
                call()
            raised.append((caught.value, caught.value.__cause__))
        del caught
        return weakref.ref(local)

    left = caller()
    (first, kept), (second, same) = raised
    assert first is not second
    assert kept is same
    assert kept.__traceback__ is None
    assert str(kept) == str(second)
    raised.clear()
    del first, second
    gc.collect()
    assert left() is None
