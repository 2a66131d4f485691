"""A process and its end: waited for, told and reaped, whatever the program does with SIGCHLD.

``subprocess.Popen`` starts it and has no further part: a status that the program has
reaped, or told the system to throw away, would be an exit code of 0 to it. Where the
system has them a file descriptor stands for the process (``pidfd_open``): it tells the
end without taking the status, and a signal through it reaches nobody else.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any

import attrs

from headrace.common.uncopyable import Uncopyable
from headrace_subprocess import files

_TICK = 0.01
"""Seconds between two looks at a process that no file descriptor stands for."""
_DYING = 5.0
"""Seconds that a process has to be gone after SIGKILL; inside the kernel it may take longer."""
_PIDFD_GET_INFO, _INFO_EXIT = 0xC040FF0B, 1 << 3
_INFO = struct.Struct("=Q52xi")
"""``struct pidfd_info`` of Linux 6.15: its mask, what is not asked for, and the status."""

_running: dict[int, Process] = {}
"""All that were started and whose end nobody has taken in yet."""


@attrs.frozen
class Ended:
    """How a process ended."""

    code: int | None
    """Its exit code, negative for a signal; None: somebody else has reaped it."""

    cpu_seconds: float = 0.0
    """Processor time that it had used, where that is known."""


class _Start(subprocess.Popen[bytes]):
    """Starts a process, and knows its number as soon as there is one."""

    def __del__(self) -> None:
        """Neither waits for it nor complains that it runs."""


class Process(Uncopyable):
    """A child of this process, from its start until it is reaped.

    There before the process is, so that an interrupt of the start loses nothing.
    """

    def __init__(self) -> None:
        self.ended: Ended | None = None
        self._started = _Start.__new__(_Start)
        self._file: files.File | None = None
        self._lock = threading.RLock()  # a signal handler may look while its thread does

    def start(
        self,
        arguments: Sequence[str],
        environment: dict[str, str],
        passed: Sequence[int],
        output: int,
    ) -> None:
        """Start it.

        Args:
            arguments: What to run.
            environment: Its environment.
            passed: File descriptors that it inherits, above those of the standard streams.
            output: Where its standard output and error go.
        """
        for other in list(_running.values()):
            other.look()  # one that died unnoticed is a zombie until somebody looks
        self._started.__init__(  # type: ignore[misc]
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=passed,
            env=environment,
            # Ctrl-C in a terminal goes to every process in front: it is the parent's to handle.
            start_new_session=True,
        )
        self._file = _file_of(self.pid)
        _running[id(self)] = self

    @property
    def pid(self) -> int:
        """Its number; 0: it was not started."""
        return getattr(self._started, "pid", None) or 0

    @property
    def _handle(self) -> int:
        """The file descriptor that stands for it; -1: none."""
        return -1 if self._file is None or self._file.closed else self._file.fileno()

    def look(self) -> bool:
        """Whether it has ended; it is reaped then."""
        with self._lock:
            if self.ended is None and self.pid:
                ended = self._reaped()
                if ended is not None and self.ended is None:
                    # First: an interrupt in between would leave it there for good.
                    _running.pop(id(self), None)
                    self.ended = ended
            return self.ended is not None or not self.pid

    def _reaped(self) -> Ended | None:
        """How it has ended; None while it runs."""
        try:
            # A look first: the number of a process that others have reaped may be another's.
            if self._handle >= 0 and not os.waitid(
                os.P_PIDFD, self._handle, os.WEXITED | os.WNOHANG | os.WNOWAIT
            ):
                return None
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        except ChildProcessError:
            return Ended(_code_by_handle(self._handle))
        if pid == 0:
            return None
        return Ended(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime)

    def wait(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        until = time.monotonic() + seconds
        while not self.look():
            left = until - time.monotonic()
            if left <= 0:
                return False
            if self._handle >= 0:
                poll = select.poll()
                poll.register(self._handle, select.POLLIN)
                poll.poll(left * 1000)
            else:
                time.sleep(min(left, _TICK))
        return True

    def kill(self) -> None:
        """End it at once, and wait until it is gone."""
        if not self.look():
            self._send_kill()
            self.wait(_DYING)

    def _send_kill(self) -> None:
        with contextlib.suppress(OSError):
            if self._handle >= 0:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)

    def end(self, grace: float) -> None:
        """Give it so many seconds to end by itself, and end it then."""
        try:
            ended = self.wait(grace)
        except BaseException:
            self._send_kill()  # whoever interrupts does not want to wait
            raise
        if not ended:
            self.kill()

    def see_off(self, grace: float) -> None:
        """``end`` for a finalizer: takes no lock and waits for nothing."""
        if self.ended is None and self.pid:
            with contextlib.suppress(RuntimeError):  # no threads any more: the program ends
                _thread.start_new_thread(self._see_off, (grace,))

    def _see_off(self, grace: float) -> None:
        self.end(grace)

    def disown(self) -> None:
        """In a forked process: it is the child of another one."""
        self._lock = threading.RLock()
        self.ended = Ended(None)


def _file_of(pid: int) -> files.File | None:
    """A file descriptor for a process; None where the system has none."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return None
    try:
        return files.opened(os.pidfd_open, pid)
    except OSError:
        return None


def _code_by_handle(handle: int) -> int | None:
    """The exit code of a process that somebody else has reaped, where the system still tells."""
    if handle < 0:
        return None
    import fcntl

    info: Any = bytearray(_INFO.pack(_INFO_EXIT, 0))
    try:
        fcntl.ioctl(handle, _PIDFD_GET_INFO, info)
    except OSError:
        return None
    mask, status = _INFO.unpack(info)
    return os.waitstatus_to_exitcode(status) if mask & _INFO_EXIT else None


def _disown_all() -> None:
    for process in list(_running.values()):
        process.disown()
    _running.clear()


os.register_at_fork(after_in_child=_disown_all)
