"""Whose exception it is: the caller's own, or a defect of the backend."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import signal
import sys
import threading
import time

import pytest

from headrace import DecodeError, ModelMemoryError
from headrace.common.seam import Seam, is_callers
from headrace.errors import BackendProtocolError


class SoftTimeLimit(Exception):
    """As task queues raise it."""


class Handlers:
    """Signal handlers of every kind."""

    def method(self, signum, frame):
        """A bound method."""
        raise SoftTimeLimit

    @staticmethod
    def static(signum, frame):
        """A function of a class."""
        raise SoftTimeLimit

    def __call__(self, signum, frame):
        """An object that can be called."""
        self.deeper()

    def deeper(self):
        """The handler is not the last frame."""
        raise SoftTimeLimit


def handle(extra, signum, frame):
    """For ``functools.partial``."""
    raise SoftTimeLimit


HANDLERS = {
    "method": Handlers().method,
    "static": Handlers.static,
    "object": Handlers(),
    "partial": functools.partial(handle, 1),
    "partial of a partial": functools.partial(functools.partial(handle), 1),
}


@pytest.mark.parametrize("kind", HANDLERS)
def test_what_a_signal_handler_raises_is_the_callers(kind):
    """Of every kind that ``signal.signal`` takes."""
    before = signal.signal(signal.SIGUSR1, HANDLERS[kind])
    try:
        with pytest.raises(SoftTimeLimit) as caught:
            signal.raise_signal(signal.SIGUSR1)
        assert is_callers(caught.value)
    finally:
        signal.signal(signal.SIGUSR1, before)


def raised(error):
    """The error, after it was raised and caught."""
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize("error", [MemoryError(), RecursionError()])
def test_what_runs_out_is_the_callers(error):
    """It happens to be a backend's function that is called last."""
    assert is_callers(raised(error))


@pytest.mark.parametrize(
    "error", [ValueError("a"), SoftTimeLimit(), DecodeError("a"), ModelMemoryError("a"), OSError()]
)
def test_what_a_statement_raises_is_not(error):
    """Nor what headrace's own classes report, be it of memory."""
    assert not is_callers(raised(error))


@pytest.mark.parametrize("fail", [lambda: int("x"), lambda: next(iter(())), lambda: {}["a"]])
def test_what_a_builtin_raises_is_not(fail):
    """No ``raise`` stands there, and yet it is the code's own."""
    with pytest.raises(Exception) as caught:
        fail()
    assert not is_callers(caught.value)


def test_a_seam_names_what_passes_it():
    """The backend, the call, the exception; typed errors and the caller's own are left alone."""
    seam = Seam("mill")
    named = pytest.raises(BackendProtocolError, match="'mill' raised KeyError in turn")
    with named as caught, seam.during("turn"):
        raise KeyError("a")
    assert isinstance(caught.value.__cause__, KeyError)
    for error in (DecodeError("a"), MemoryError(), KeyboardInterrupt()):
        with pytest.raises(type(error)) as passed, seam.during("turn"):
            raise error
        assert passed.value is error


def test_a_thread_that_is_ended_ends():
    """With the ``SystemExit`` that another one puts into it, wherever in a backend it is."""
    started, ended = threading.Event(), []

    def work():
        try:
            with Seam("mill").during("turn"):
                started.set()
                until = time.monotonic() + 30
                while time.monotonic() < until:
                    pass
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(30)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )
    thread.join(60)
    assert [type(each) for each in ended] == [SystemExit]


@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_is_no_failure_passes(error):
    """A task's cancellation, for one."""
    with pytest.raises(error), Seam("mill").during("turn"):
        raise error


@pytest.mark.parametrize("code", ["no licence", 3])
def test_an_exit_of_a_backend_is_a_defect(code):
    """It has a code, or stands in a line of its own."""
    told = "raised SystemExit in turn"
    with pytest.raises(BackendProtocolError, match=told), Seam("mill").during("turn"):
        sys.exit(code)
    with pytest.raises(BackendProtocolError, match=told), Seam("mill").during("turn"):
        raise SystemExit
