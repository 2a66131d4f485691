"""The child process as its parent sees it: started, told, watched, ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import socket
import sys
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from headrace.common.alone import Alone
from headrace.common.uncopyable import Uncopyable
from headrace.errors import BackendCrashedError, ClosedError, HeadraceError, ParamsError
from headrace.params import IsolationParams
from headrace_subprocess import codec, files, signals, wire
from headrace_subprocess.deaths import FATAL, describe
from headrace_subprocess.patience import Patience
from headrace_subprocess.process import Process
from headrace_subprocess.signals import Note

_GRACE = 2.0
"""Seconds a child is given to end by itself."""
_METHOD_AT = {"model": 1, "session": 2, "handle": 2}
"""Where requests for methods of a backend have the method's name."""
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
        self._last_words: str | None = None
        self._draining = Alone()
        self._looking = Alone()
        self._probe: wire.Channel | None = None
        self._asked = False
        self._advances: Any = None
        self._verdict: str | None = None
        self._reason: str | None = None
        self._closing = False
        self._process = Process()
        # The door hands new channels over, and its end is the end of the child.
        self._door, door = files.pair()
        pipe, self._pipe = files.pipe()
        self._stderr, stderr = files.pipe()
        # Nothing is ever written to this one: its end wakes a child that was stopped.
        life, self._life = files.pipe()
        _workers.add(self)
        try:
            self._door.setblocking(False)
            # What is not read in time is lost, and blocks nobody.
            for each in (self._pipe, self._stderr, stderr):
                os.set_blocking(each.fileno(), False)
            self._start(door.fileno(), pipe.fileno(), life.fileno(), stderr.fileno())
        except BaseException:
            self._process.kill()  # whoever keeps the exception keeps this object, too
            raise
        finally:
            for theirs in (door, pipe, life, stderr):
                theirs.close()

    def _start(self, door: int, pipe: int, life: int, stderr: int) -> None:
        settings = {
            "door": door,
            "pipe": pipe,
            "life": life,
            "limits": codec.pack(self.limits).hex(),
            "level": logging.getLogger("headrace").getEffectiveLevel(),
            "path": sys.path,
        }
        self._process.start(
            [sys.executable, "-m", "headrace_subprocess.child", json.dumps(settings)],
            {
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            (door, pipe, life),
            stderr,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def patience(self, doing: str, until: float | None = None, **options: Any) -> Patience:
        """How long to wait for it; see ``Patience``."""
        return Patience(self, doing, until, **options)

    # -- talking ------------------------------------------------------------

    def open_channel(self, patience: Patience | None = None) -> wire.Channel:
        """A new channel, served by a thread of its own in the child.

        Raises:
            BackendCrashedError: If the child is gone, or takes in nothing.
        """
        doing = "opening a channel"
        patience = patience or self.patience(doing)
        ours, theirs = files.pair()
        channel = wire.Channel(ours)
        with contextlib.closing(theirs):
            while not self._hand_over(theirs, doing):
                patience.over()
                poll = select.poll()
                poll.register(self._door.fileno(), select.POLLOUT)
                poll.poll(patience.wait * 1000)
        return channel

    def _hand_over(self, end: files.Socket, doing: str) -> bool:
        """Send an end of a channel through the door; False while the child leaves no room."""
        try:
            socket.send_fds(self._door, [b"c"], [end.fileno()])  # type: ignore[arg-type]
        except BlockingIOError:
            return False
        except OSError:
            raise self.crashed(doing) from None
        return True

    def signal(self, note: Note) -> None:
        """Tell the child at once. Takes no lock, never fails."""
        if not self._pipe.closed:
            signals.send(self._pipe.fileno(), note)

    def request(
        self,
        channel: wire.Channel,
        *message: Any,
        on: Others | None = None,
        patience: Patience | None = None,
    ) -> Any:
        """Send a message and wait for its answer.

        Args:
            channel: To whom. It is not ``synchronous`` after anything but an answer or an error
                that came through it.
            message: What is wanted.
            on: Told the kind and value of other messages; without it they are passed over.
            patience: What ends the wait; None: the watchdog.

        Raises:
            BackendCrashedError: If the child dies or falls silent.
            ClosedError: If the channel was closed here meanwhile.
            HeadraceError: What the call ended with in the child.
        """
        doing = str(message[_METHOD_AT.get(message[0], 0)])
        patience = patience or self.patience(doing)
        self.send(channel, message, doing, patience)
        return self.answer(channel, doing, patience, on)

    def send(
        self, channel: wire.Channel, message: Any, doing: str, patience: Patience | None = None
    ) -> None:
        """Send a message that an answer is owed for; see ``request``.

        Raises:
            BackendCrashedError: If the child is gone, or reads nothing.
            ParamsError: If it cannot be sent; nothing is owed then.
        """
        # Whatever falls in between leaves an answer that nobody waits for: the debt begins
        # before the message, and only a whole answer ends it.
        channel.owed = True
        try:
            channel.send(message, patience or self.patience(doing))
        except ParamsError:
            channel.owed = False
            raise
        except wire.Disconnected:
            raise self.lost(channel, doing) from None

    def answer(
        self,
        channel: wire.Channel,
        doing: str,
        patience: Patience | None = None,
        on: Others | None = None,
    ) -> Any:
        """Wait for the answer to what was sent; see ``request``."""
        patience = patience or self.patience(doing)
        while True:
            kind, value = self.receive(channel, doing, patience)
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

    def receive(self, channel: wire.Channel, doing: str, patience: Patience) -> tuple[str, Any]:
        """The next message as its kind and value.

        Raises:
            BackendCrashedError: If the child dies or falls silent.
            ClosedError: If the channel was closed here meanwhile.
        """
        while True:
            try:
                message = channel.receive(patience.wait)
            except wire.Garbled:
                raise self.nonsense(doing, None) from None
            except wire.Disconnected:
                raise self.lost(channel, doing) from None
            self.drain()
            if message is not None:
                patience.heard()
                return self.parsed(message, doing)
            patience.over()

    def lost(self, channel: wire.Channel, doing: str) -> HeadraceError:
        """The error for a channel that ended: it was closed here, or the child is gone."""
        if channel.closed:
            return ClosedError("it was closed during the call", backend=self.backend)
        return self.crashed(doing)

    def parsed(self, message: Any, doing: str) -> tuple[str, Any]:
        """A message's kind and value.

        Raises:
            BackendCrashedError: If it has none: something else than headrace speaks there.
        """
        if isinstance(message, (tuple, list)) and len(message) == 2 and isinstance(message[0], str):
            return message[0], message[1]
        raise self.nonsense(doing, message)

    def advances(self) -> Any:
        """What grows as long as anything in the child is brought forward, as it said last.

        Waits for nothing: each call asks anew and takes in what has arrived. None: it has not
        answered yet.
        """
        # Whoever waits for the child learns of its end there.
        with contextlib.suppress(wire.Disconnected, BackendCrashedError, BlockingIOError):
            self._looking.attempt(self._ask)
        return self._advances

    def _ask(self) -> None:
        probe = self._probe
        if probe is None or not probe.synchronous:
            ours, theirs = files.pair()
            self._probe = probe = wire.Channel(ours)
            self._asked = False
            with contextlib.closing(theirs):
                if not self._hand_over(theirs, "asking whether it lives"):
                    self._probe = None
                    return
        if self._asked and (message := probe.receive(0.0)) is not None:
            self._advances, self._asked = message[1], False
        if not self._asked:
            self._asked = True
            probe.send(("advances",))

    # -- watching -----------------------------------------------------------

    def drain(self) -> None:
        """Take in what the child has written: records of its log, and other lines."""
        # Where another thread is at it, or this one further down its stack, it takes in all.
        self._draining.attempt(self._drain)

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while not self._stderr.closed and (data := os.read(self._stderr.fileno(), 2**16)):
                *lines, self._unfinished = (self._unfinished + data).split(b"\n")
                for line in lines:
                    self._take_line(line.decode("utf-8", errors="replace").rstrip())

    def _take_line(self, line: str) -> None:
        if line.startswith(_LOG_MARK):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                record = json.loads(line[1:])
                self._lines.append(str(record["text"]))
                logger = logging.getLogger(str(record["name"]))
                # Where nobody set up logging, it prints no warnings: nor would it in this process.
                if logger.hasHandlers():
                    logger.log(int(record["level"]), "%s", record["text"])
        elif line:
            self._lines.append(line)
            if line.startswith(FATAL):
                self._last_words = line
            _logger.warning("%s", line)

    def hung(self, doing: str) -> BackendCrashedError:
        """End a child that does not answer; returns the error to raise."""
        if not self._process.look():  # one that has died of itself did not hang
            seconds = self.limits.watchdog
            self._reason = f"brought nothing forward for {seconds:g} s and was ended"
        self._process.kill()
        return self.crashed(doing)

    def nonsense(self, doing: str, said: Any) -> BackendCrashedError:
        """End a child that breaks the protocol; returns the error to raise."""
        what = "bytes that are no message" if said is None else f"{said!r:.60}, which is no answer"
        self._reason = f"sent {what}, and was ended"
        self._process.kill()
        return self.crashed(doing)

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._process.look()

    def crashed(self, doing: str) -> BackendCrashedError:
        """The error for a child that is gone."""
        verdict = self._find_verdict()
        self.drain()
        ended = self._process.ended
        return BackendCrashedError(
            f"the process of backend {self.backend!r} {verdict} ({doing})",
            hint="Its models and sessions are lost; loading again starts a new process.",
            backend=self.backend,
            native_code=None if ended is None else ended.code,
            native_log=tuple(self._lines),
        )

    def _find_verdict(self) -> str:
        if self._verdict is not None:
            return self._verdict
        if not self._process.wait(_GRACE):
            # Nobody can use it any more.
            self._reason = self._reason or "closed its connection and was ended"
            self._process.kill()
        self.drain()
        ended = self._process.ended
        self._verdict = self._reason or describe(ended, self.limits, self._last_words)
        return self._verdict

    # -- ending -------------------------------------------------------------

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def close(self) -> None:
        """Let it end by itself, and make sure that it does. Closing again does nothing."""
        if self._closing:
            return
        self._closing = True
        self._let_go()
        self._process.end(_GRACE)
        self.drain()

    def _let_go(self) -> None:
        """What tells the child to end."""
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._life.close()

    def abandon(self) -> None:
        """In a forked process: let go of what keeps the child of another one alive."""
        self._closing = True
        for each in (self._door, self._pipe, self._stderr, self._life):
            each.close()

    def __del__(self) -> None:
        # The files are closed with this object, not before nobody can use them any more: a late
        # note of a stream that was dropped could reach another child. This one ends by itself.
        process = getattr(self, "_process", None)  # an interrupt may fall into __init__
        if process is not None:
            process.see_off(_GRACE)


def _abandon_all() -> None:
    for worker in list(_workers):
        worker.abandon()


os.register_at_fork(after_in_child=_abandon_all)
