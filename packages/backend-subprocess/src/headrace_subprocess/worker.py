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
from collections.abc import Callable
from typing import Any

from headrace.copying import Uncopyable
from headrace.errors import BackendCrashedError, HeadraceError, ParamsError
from headrace.params import IsolationParams
from headrace_subprocess import codec, signals, wire
from headrace_subprocess.signals import Note

_ANSWER = 10.0
_GRACE = 5.0
"""Seconds a child is given to end by itself."""
_LAST_LINES = 20
_LOG_MARK = "\x1e"
"""Begins a line of the child's stderr that is a record of its log."""

_logger = logging.getLogger("headrace.subprocess")
# Or logging would print warnings to stderr for an application that set up no logging.
_logger.addHandler(logging.NullHandler())
Others = Callable[[str, Any], None]
_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker(Uncopyable):
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
        self._lock = threading.RLock()  # a signal handler may open a session too
        self._draining = threading.Lock()
        self._verdict: str | None = None
        self._hung = False
        self._broke: str | None = None
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
        return wire.Channel(ours)

    def signal(self, note: Note) -> None:
        """Tell the child at once. Takes no lock, never fails."""
        signals.send(self._pipe, note)

    def request(self, channel: wire.Channel, *message: Any, on: Others | None = None) -> Any:
        """Send a message and wait for its answer.

        Args:
            channel: To whom. It is not ``synchronous`` after anything but an answer or an error
                that came through it.
            message: What is wanted.
            on: Told the kind and value of other messages; without it they are passed over.

        Raises:
            BackendCrashedError: If the child dies or falls silent.
            HeadraceError: What the call ended with in the child.
        """
        doing = str(message[0])
        self.send(channel, message, doing)
        return self.answer(channel, doing, on)

    def send(self, channel: wire.Channel, message: Any, doing: str) -> None:
        """Send a message that an answer is owed for.

        Raises:
            BackendCrashedError: If the child is gone, or reads nothing.
            ParamsError: If it cannot be sent; nothing is owed then.
        """
        # Whatever falls in between leaves an answer that nobody waits for: the debt begins
        # before the message, and only a whole answer ends it.
        channel.owed = True
        try:
            channel.send(message, self.limits.watchdog)
        except ParamsError:
            channel.owed = False
            raise
        except wire.Disconnected:
            raise self.crashed(doing) from None
        except wire.Stalled:
            raise self.hung(doing) from None

    def answer(self, channel: wire.Channel, doing: str, on: Others | None = None) -> Any:
        """Wait for the answer to what was sent; see ``request``."""
        silence = Silence(self, doing)
        while True:
            kind, value = self.receive(channel, doing, silence.over)
            if kind == "error":
                channel.owed = False
                if not isinstance(value, HeadraceError):
                    raise self.nonsense(doing, value)
                raise value
            if kind == "answer":
                channel.owed = False
                return value
            if on is not None:
                on(kind, value)

    def receive(
        self,
        channel: wire.Channel,
        doing: str,
        on_silence: Callable[[], None] | None = None,
        patience: float | None = None,
    ) -> tuple[str, Any]:
        """The next message as its kind and value.

        Args:
            channel: Where it comes from.
            doing: What is waited for, for messages.
            on_silence: Called when nothing came for so long, raises to end the wait; None: a
                silence is a hang.
            patience: Seconds of silence; None: the watchdog's.

        Raises:
            BackendCrashedError: If the child dies or falls silent.
        """
        while True:
            try:
                message = channel.receive(self.limits.watchdog if patience is None else patience)
            except wire.Disconnected:
                raise self.crashed(doing) from None
            self.drain()
            if message is not None:
                return self.parsed(message, doing)
            if on_silence is None:
                raise self.hung(doing)
            on_silence()

    def parsed(self, message: Any, doing: str) -> tuple[str, Any]:
        """A message's kind and value.

        Raises:
            BackendCrashedError: If it has none: something else than headrace speaks there.
        """
        if isinstance(message, (tuple, list)) and len(message) == 2 and isinstance(message[0], str):
            return message[0], message[1]
        raise self.nonsense(doing, message)

    def advances(self) -> Any:
        """A number that grows as long as anything in the child is brought forward.

        Raises:
            BackendCrashedError: If the child does not even answer that.
        """
        channel = self.open_channel()
        try:
            channel.send(("advances",))
        except wire.Disconnected:
            raise self.crashed("asking whether it lives") from None
        # A busy machine may take a while for an answer that needs no computing.
        patience = max(self.limits.watchdog, _ANSWER)
        _, value = self.receive(channel, "asking whether it lives", patience=patience)
        return value

    # -- watching -----------------------------------------------------------

    def drain(self) -> None:
        """Take in what the child has written: records of its log, and other lines."""
        # Another thread is at it, or this one further down its stack: it takes in all.
        if not self._draining.acquire(blocking=False):
            return
        try:
            self._drain()
        finally:
            self._draining.release()

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while self._stderr >= 0 and (data := os.read(self._stderr, 2**16)):
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

    def nonsense(self, doing: str, said: Any) -> BackendCrashedError:
        """End a child that breaks the protocol; returns the error to raise."""
        self._broke = f"sent {said!r:.60}, which is no answer, and was ended"
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
        if self._broke is not None:
            return self._broke
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

    def abandon(self) -> None:
        """In a forked process: let go of what keeps the child of another one alive."""
        self._door.close()
        self._close_pipes()
        self._process.returncode = 0  # not ours to wait for

    def _close_pipes(self) -> None:
        # Not before nobody can use them any more: the numbers are given to other files then,
        # and a late note of a stream that was dropped would reach another child.
        pipes = (self._pipe, self._stderr)
        self._pipe = self._stderr = -1
        for pipe in pipes:
            if pipe >= 0:
                os.close(pipe)

    def __del__(self) -> None:
        door = getattr(self, "_door", None)
        if door is not None and hasattr(self, "_process"):
            door.close()  # the child ends by itself
            self._close_pipes()
            self._process.returncode = self._process.poll() or 0


class Silence:
    """Tells a long wait from a hang: whether anything was brought forward since the last look.

    Args:
        worker: The child.
        doing: What is waited for, for messages.
    """

    def __init__(self, worker: Worker, doing: str) -> None:
        self._worker = worker
        self._doing = doing
        self._seen: Any = None

    def over(self) -> None:
        """To be called after a long silence.

        Raises:
            BackendCrashedError: If the child has died, or hangs.
        """
        advances = self._worker.advances()
        if advances == self._seen:
            raise self._worker.hung(self._doing)
        self._seen = advances


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
