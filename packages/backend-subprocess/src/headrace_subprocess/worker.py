"""The child process as its parent sees it: started, told, watched, ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from typing import Any

from headrace.errors import BackendCrashedError
from headrace.params import IsolationParams
from headrace_subprocess import codec, signals, wire
from headrace_subprocess.signals import Note

_GRACE = 5.0
"""Seconds a child is given to end by itself."""
_LAST_LINES = 20
_LOG_MARK = "\x1e"
"""Begins a line of the child's stderr that is a record of its log."""

_logger = logging.getLogger("headrace.subprocess")
# Or logging would print warnings to stderr for an application that set up no logging.
_logger.addHandler(logging.NullHandler())
_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker:
    """A child process.

    Args:
        backend: Name of the backend that runs in it, for messages.
        limits: What it may do.
    """

    def __init__(self, backend: str, limits: IsolationParams) -> None:
        self.backend = backend
        self.limits = limits
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._unfinished = b""
        self._lock = threading.Lock()
        self._verdict: str | None = None
        self._hung = False
        # The door hands new channels over, and its end is the end of the child.
        self._door, theirs = wire.pair()
        read, self._pipe = os.pipe()
        self._stderr, stderr = os.pipe()
        try:
            os.set_blocking(self._pipe, False)
            os.set_blocking(self._stderr, False)
            os.set_blocking(stderr, False)  # what is not read in time is lost, and blocks nobody
            self._process = self._start(theirs, read, stderr)
        finally:
            theirs.close()
            os.close(read)
            os.close(stderr)
        _workers.add(self)

    def _start(self, door: socket.socket, pipe: int, stderr: int) -> subprocess.Popen[bytes]:
        settings = {
            "door": door.fileno(),
            "pipe": pipe,
            "limits": codec.pack(self.limits).hex(),
            "level": logging.getLogger("headrace").getEffectiveLevel(),
            "path": sys.path,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "headrace_subprocess.child", json.dumps(settings)],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            pass_fds=(door.fileno(), pipe),
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            # Ctrl-C in a terminal goes to every process in front: it is the parent's to handle.
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    # -- talking ------------------------------------------------------------

    def open_channel(self) -> wire.Channel:
        """A new channel, served by a thread of its own in the child.

        Raises:
            BackendCrashedError: If the child is gone.
        """
        ours, theirs = wire.pair()
        try:
            with self._lock:
                socket.send_fds(self._door, [b"c"], [theirs.fileno()])
        except OSError:
            ours.close()
            raise self.crashed("opening a channel") from None
        finally:
            theirs.close()
        return wire.Channel(ours.detach())

    def signal(self, note: Note) -> None:
        """Tell the child at once. Takes no lock, never fails."""
        signals.send(self._pipe, note)

    def request(self, channel: wire.Channel, *message: Any, patience: float | None = None) -> Any:
        """Send a message and wait for its answer; other messages are passed over.

        Raises:
            BackendCrashedError: If the child dies or falls silent.
            HeadraceError: What the call ended with in the child.
        """
        try:
            channel.send(message)
        except wire.Disconnected:
            raise self.crashed(str(message[0])) from None
        while True:
            kind, value = self.receive(channel, str(message[0]), patience)
            if kind == "error":
                raise value
            if kind == "answer":
                return value

    def receive(
        self, channel: wire.Channel, doing: str, patience: float | None = None
    ) -> tuple[str, Any]:
        """The next message as its kind and value.

        Args:
            channel: Where it comes from.
            doing: What is waited for, for messages.
            patience: Seconds of silence that are taken for a hang; None: the watchdog's.

        Raises:
            BackendCrashedError: If the child dies or falls silent.
        """
        try:
            message = channel.receive(self.limits.watchdog if patience is None else patience)
        except wire.Disconnected:
            raise self.crashed(doing) from None
        self.drain()
        if message is None:
            raise self.hung(doing)
        return message[0], message[1]

    # -- watching -----------------------------------------------------------

    def drain(self) -> None:
        """Take in what the child has written: records of its log, and other lines."""
        with contextlib.suppress(OSError):
            while data := os.read(self._stderr, 2**16):
                *lines, self._unfinished = (self._unfinished + data).split(b"\n")
                for line in lines:
                    self._take_line(line.decode("utf-8", errors="replace").rstrip())

    def _take_line(self, line: str) -> None:
        if line.startswith(_LOG_MARK):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                record = json.loads(line[1:])
                self._lines.append(str(record["text"]))
                logging.getLogger(str(record["name"])).log(
                    int(record["level"]), "%s", record["text"]
                )
        elif line:
            self._lines.append(line)
            _logger.warning("%s", line)

    def hung(self, doing: str) -> BackendCrashedError:
        """End a child that does not answer; returns the error to raise."""
        self._hung = True
        self.kill()
        return self.crashed(doing)

    def crashed(self, doing: str) -> BackendCrashedError:
        """The error for a child that is gone."""
        if self._verdict is None:
            self._verdict = self._find_verdict()
        self.drain()
        return BackendCrashedError(
            f"the process of backend {self.backend!r} {self._verdict} ({doing})",
            hint="Its models and sessions are lost; loading again starts a new process.",
            backend=self.backend,
            native_code=self._process.returncode,
            native_log=tuple(self._lines),
        )

    def _find_verdict(self) -> str:
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.kill()  # it closed its channels and lives on: nobody can use it
            code = self._process.returncode
        if self._hung:
            return f"brought nothing forward for {self.limits.watchdog:g} s and was ended"
        if code < 0:
            name = _signal_name(-code)
            return f"was ended by {name}" + _REMARKS.get(name, "")
        return f"ended by itself with exit code {code}"

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    # -- ending -------------------------------------------------------------

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let it end by itself, and make sure that it does. Closing again does nothing."""
        with self._lock:
            if self._door.fileno() < 0:
                return
            self._door.close()
        until = time.monotonic() + _GRACE
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
        self.drain()
        self._close_pipes()

    def abandon(self) -> None:
        """In a forked process: let go of what keeps the child of another one alive."""
        self._door.close()
        self._close_pipes()
        self._process.returncode = 0  # not ours to wait for

    def _close_pipes(self) -> None:
        for pipe in (self._pipe, self._stderr):
            with contextlib.suppress(OSError):
                os.close(pipe)

    def __del__(self) -> None:
        door = getattr(self, "_door", None)
        if door is not None and door.fileno() >= 0:
            door.close()  # the child ends by itself
            self._close_pipes()
            self._process.returncode = self._process.poll() or 0


_REMARKS = {
    "SIGKILL": " (killed from outside, or by the system for want of memory)",
    "SIGXCPU": " (its limit of processor time)",
}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _abandon_all() -> None:
    for worker in list(_workers):
        worker.abandon()


os.register_at_fork(after_in_child=_abandon_all)
