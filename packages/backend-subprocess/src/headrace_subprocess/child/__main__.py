"""The child: opens its door, serves a channel per thread, ends when the parent does."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import socket
import sys
import threading

from headrace_subprocess import codec, signals
from headrace_subprocess.child import limits, surroundings
from headrace_subprocess.child.serving import Server
from headrace_subprocess.child.sessions import ServedChannel
from headrace_subprocess.files import Socket

_logger = logging.getLogger("headrace.subprocess")
_PATIENCE = 1.5
"""Seconds for the model to be closed in order after the parent is gone."""


class _ToStderr(logging.Handler):
    """Writes records as lines that the parent reads; what finds no room is lost."""

    def emit(self, record: logging.LogRecord) -> None:
        line = {"name": record.name, "level": record.levelno, "text": record.getMessage()}
        with contextlib.suppress(OSError):
            os.write(2, b"\x1e" + json.dumps(line).encode() + b"\n")


def main() -> None:
    """Serve until the parent closes the door."""
    settings = json.loads(sys.argv[1])
    surroundings.prepare(settings["life"])
    faulthandler.enable(all_threads=False)
    logger = logging.getLogger("headrace")
    logger.setLevel(settings["level"])
    logger.addHandler(_ToStderr())
    logger.propagate = False
    limits.apply(codec.unpack(bytes.fromhex(settings["limits"])))
    server = Server()
    threading.Thread(target=_listen, args=(settings["pipe"], server), daemon=True).start()
    door = Socket(fileno=settings["door"])
    door.setblocking(True)  # whatever the parent's default is
    while True:
        message, fds, _, _ = socket.recv_fds(door, 1, 1)  # type: ignore[arg-type]
        if not message:
            break
        for fd in fds:
            channel = ServedChannel(Socket(fileno=fd))
            threading.Thread(target=server.serve, args=(channel,), daemon=True).start()
    # Threads may be inside native code: nothing is torn down around them, and nothing waited
    # for that does not end.
    ending = threading.Thread(target=server.shut_down, daemon=True)
    ending.start()
    ending.join(_PATIENCE)
    os._exit(0)


def _listen(pipe: int, server: Server) -> None:
    while notes := signals.receive(pipe):
        for note in notes:
            try:
                server.take_note(note)
            except BaseException:  # a backend's; the next note is about something else
                _logger.exception("a note could not be followed")


if __name__ == "__main__":
    main()
