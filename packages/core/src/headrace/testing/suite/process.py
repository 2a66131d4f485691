"""What a backend leaves in the process: no output, no threads, no strange numbers."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from headrace.testing.kit import Kit, expect
from headrace.testing.rules import rule
from headrace.testing.threads import KIT_THREAD

_PATIENCE = 5.0
"""Seconds that a thread may take to end after its model was closed."""
_PAUSE = 0.01


def _life(kit: Kit) -> None:
    """A model from its load to its close."""
    with kit.load() as model, model.open_session() as session:
        kit.say(session, n=4)
        stream = kit.stream(session, " more")
        next(stream)
        stream.cancel()
    gc.collect()


@rule("process.output")
def output(kit: Kit) -> None:
    """Nothing is printed, neither by Python nor below it."""
    with _captured() as file:
        _life(kit)
        sys.stdout.flush()
        sys.stderr.flush()
        file.seek(0)
        printed = file.read()
    expect(not printed, f"this was printed: {printed!r:.200}")


@contextlib.contextmanager
def _captured() -> Iterator[IO[bytes]]:
    """A file that gets what is written to standard output and error meanwhile."""
    # What is logged has a handler then, and the last resort of logging prints nothing.
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        with (
            tempfile.TemporaryFile() as file,
            open(os.dup(file.fileno()), "w", encoding="utf-8") as text,
            contextlib.redirect_stdout(text),
            contextlib.redirect_stderr(text),
        ):
            for number, _ in kept:
                os.dup2(file.fileno(), number)
            yield file
    finally:
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        logging.getLogger().removeHandler(handler)


@rule("process.threads")
def threads(kit: Kit) -> None:
    """No thread stays when its model is closed."""
    _life(kit)  # what a library keeps for all of its models is there afterwards
    before = _threads(), _native()
    for _ in range(2):
        _life(kit)
    deadline = time.monotonic() + _PATIENCE
    while _grown(before) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    stayed = _grown(before)
    expect(not stayed, f"two models were closed, these threads are there still: {stayed}")


def _threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if not each.name.startswith(KIT_THREAD)}


def _native() -> set[str]:
    """Ids of all threads of the process, where the system lists them."""
    folder = Path("/proc/self/task")
    return {each.name for each in folder.iterdir()} if folder.is_dir() else set()


def _grown(before: tuple[set[threading.Thread], set[str]]) -> str:
    threads, native = before
    more = sorted(each.name for each in _threads() - threads)
    if more:
        return ", ".join(more)
    # Some may have ended and others begun that do the same work: what counts is how many.
    n_more = len(_native()) - len(native)
    return f"{n_more} of native code" if n_more > 0 else ""
