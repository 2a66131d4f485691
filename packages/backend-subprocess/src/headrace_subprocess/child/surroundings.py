"""What the child makes of the surroundings that it was started in.

What a program does with signals is inherited by what it starts: a child that cannot be
ended, whose own children cannot be waited for, or that never hears of its limit.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import signal
import sys

_F_SETSIG = 10
"""Linux: which signal a file sends."""


def prepare(life: int) -> None:
    """Set signals and standard streams right, before anything of a backend runs.

    Args:
        life: A pipe whose other end the parent has, and that nothing is written to.
    """
    _reset_signals()
    _let_wake(life)
    sys.stdout, sys.stderr = _lossy(1), _lossy(2)


def _reset_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle, whoever sends it
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _let_wake(life: int) -> None:
    """Have the end of the parent continue a child that was stopped, or it would never end."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError):
        fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(life, _F_SETSIG, signal.SIGCONT)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


class _Lossy(io.RawIOBase):
    """Writes what there is room for: what a backend prints blocks nothing and fails nowhere."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def fileno(self) -> int:
        """For whoever writes past Python."""
        return self._fd

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: object) -> int:
        """All of it is taken, wherever it goes."""
        view = memoryview(data)  # type: ignore[arg-type]
        with contextlib.suppress(OSError):
            os.write(self._fd, view)
        return len(view)


def _lossy(fd: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(_Lossy(fd)), encoding="utf-8", errors="replace", line_buffering=True
    )
