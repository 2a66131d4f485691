"""How a fake ends its whole process, where its options say so."""

from __future__ import annotations

import os
import signal
import threading

from headrace_fake.options import Fault, LoadFault

_PIECE = 16 * 2**20


def die(fault: Fault | LoadFault | None) -> None:
    """End the process as the fault says; return if it is none of those that do."""
    if fault is not None and fault.value in _DEATHS:
        _DEATHS[fault.value]()


def _hang() -> None:
    threading.Event().wait()


def _hog() -> None:
    taken = []
    try:
        while True:
            taken.append(bytearray(_PIECE))
    except MemoryError:
        os.abort()


_DEATHS = {
    "segfault": lambda: signal.raise_signal(signal.SIGSEGV),
    "abort": os.abort,
    "exit": lambda: os._exit(7),
    "hang": _hang,
    "hog": _hog,
}
