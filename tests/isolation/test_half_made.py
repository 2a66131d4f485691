"""What is interrupted while a process is started, asked or ended leaves nothing behind."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

import pytest

import headrace
from headrace import ModelParams
from headrace.results.check import CheckLimits
from headrace_subprocess.checker import ProcessChecker
from headrace_subprocess.files import pair
from headrace_subprocess.wire import Channel
from tests.isolation.conftest import ENDS
from tests.support.interrupting import RaiseAt, interrupt_everywhere, silence

PARTS = ("/headrace_subprocess/",)
HI = [{"role": "user", "content": "Hi"}]


def close(handle):
    """In the ordinary way."""
    handle.close()


def children():
    """The processes that this one has started and not reaped, but for their ends."""
    found = set()
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = each.read_text().split(" ", 1)
        except OSError:
            continue
        state, parent = rest.rpartition(")")[2].split()[:2]
        if int(parent) == os.getpid():
            found.add((int(number), state == "Z"))
    return found


@pytest.fixture
def nothing_left():
    """No file and no process stays behind."""

    def left():
        gc.collect()
        return len(os.listdir("/proc/self/fd")), children()

    before = left()
    yield
    until = time.monotonic() + ENDS
    while left() != before and time.monotonic() < until:
        time.sleep(0.05)
    assert left() == before


def load():
    """A model in a process."""
    return headrace.load_model("fake:", params=ModelParams(isolation="process"))


def test_a_model(nothing_left):
    """From the first socket to the loaded model."""
    assert interrupt_everywhere(load, close, parts=PARTS, step=61) > 100


def test_a_process_that_checks_files(nothing_left, tmp_path):
    """From its start to the end of a check."""
    path = tmp_path / "empty"
    path.touch()

    def make():
        checker = ProcessChecker("fake", CheckLimits())
        checker.check(str(path))
        return checker

    assert interrupt_everywhere(make, close, parts=PARTS, step=43) > 100


HANDLES = {
    "session": lambda model, session: model.open_session(),
    "fork": lambda model, session: session.fork(),
    "stream": lambda model, session: session.generate("a", max_tokens=3),
    "chat": lambda model, session: session.chat(HI, max_tokens=3),
    "adapter": lambda model, session: model.load_adapter("fake:#seed=1"),
}


@pytest.mark.parametrize("make", HANDLES.values(), ids=HANDLES)
def test_a_handle(nothing_left, make):
    """The model and its other sessions go on."""
    with load() as model:
        session = model.open_session()
        assert interrupt_everywhere(lambda: make(model, session), close, parts=PARTS, step=7) > 5
        assert session.complete("go on", max_tokens=3).tokens


def close_interrupted(handle, place):
    """Close something with an interrupt at a place; whether it fell, and who opened what then."""
    bystanders = []
    with silence():
        try:
            with RaiseAt(place, PARTS, KeyboardInterrupt) as interrupt:
                handle.close()
        except KeyboardInterrupt:
            bystanders = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
    return interrupt.fired, bystanders


@pytest.mark.parametrize("what", ["channel", "session", "model"])
def test_a_file_is_never_closed_twice(nothing_left, what):
    """Wherever an interrupt cuts a close short: the number may be another file's by then."""
    place, fired = 0, True
    with load() as host:
        make = {"channel": lambda: Channel(pair()[0]), "session": host.open_session, "model": load}
        close_interrupted(make[what](), 10**9)
        while fired:
            handle = make[what]()
            fired, bystanders = close_interrupted(handle, place)
            handle = None
            gc.collect()
            for each in bystanders:
                os.close(each)  # or it was closed by somebody else
            place += 3 if what == "model" else 1
    assert place > 1
