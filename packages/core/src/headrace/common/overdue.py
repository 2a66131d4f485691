"""Names what keeps a caller waiting: the import of a plugin, or the answer of a backend.

Both are code of others that runs before anything was computed, in the caller's
thread; a program that waits there gives no sign. A timer tells who is waited
for. It aborts nothing, because who is slow may still be right.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

PATIENCE = 5.0
"""Seconds until it is told."""

log = logging.getLogger("headrace.plugins")


@contextlib.contextmanager
def told_when_overdue(what: str, remedy: str) -> Iterator[None]:
    """Log a warning, which Python shows on stderr where nobody set up logging, if this takes long.

    Args:
        what: Who is waited for, as in "waiting for …".
        remedy: What can be done, as a sentence.
    """
    arguments = ("still waiting for %s, after %.0f s; %s", what, PATIENCE, remedy)
    timer = threading.Timer(PATIENCE, log.warning, arguments)
    timer.daemon = True
    try:
        with contextlib.suppress(RuntimeError):  # no more threads can be had: it waits in silence
            timer.start()
        yield
    finally:
        timer.cancel()
        if timer.ident is not None:
            # So that no thread is left for whoever forks next; not for ever, since it may be
            # telling, and whoever shows logs may be waiting for the caller.
            timer.join(1.0)
