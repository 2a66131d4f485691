"""A channel: messages over a socket, each with its length in front.

One thread sends and one receives at a time; the parent's side may be waited for by
a task too. What is received is kept in one buffer and cut off in one statement, so
that a wait that ends with an exception has lost nothing but what that exception was
raised inside of: ``synchronous`` tells.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from typing import Any

from headrace.copying import Uncopyable
from headrace_subprocess import codec

_LENGTH = struct.Struct(">I")
_LARGEST = 2**31
_AT_ONCE = 2**18
_DAY = 86400.0
PART = 2**24
"""Bytes of a large value that travel in one message."""


class Disconnected(Exception):
    """The other side is gone, or speaks another language."""


class Stalled(Exception):
    """The other side takes nothing any more."""


class Channel(Uncopyable):
    """One end of a connection.

    Closing it ends the conversation at both ends, also for a thread that waits in it;
    the file descriptor itself lives as long as the object, or a number that was given
    to another file meanwhile could be read from.

    Args:
        end: A connected stream socket; owned from now on.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        # A plain number: of a socket object that is dropped in a cycle Python may complain.
        self._end = end.detach()
        self._buffer = bytearray()
        self._broken = False
        # Not the same: a reader in another thread may just be whole again when it is closed.
        self._closed = False
        self.owed = False
        """Whether an answer is still to come."""

    @property
    def synchronous(self) -> bool:
        """False once an exception fell into a message, or between a request and its answer."""
        return not (self._broken or self._closed or self.owed)

    def fileno(self) -> int:
        """For waiting."""
        return self._end

    def send(self, message: Any, patience: float | None = None) -> None:
        """Write a message; waits while the other side does not read.

        Raises:
            ParamsError: If it holds something that cannot be sent; nothing was written.
            Disconnected: If the other side is gone.
            Stalled: If it has not read on for ``patience`` seconds.
        """
        data = codec.pack(message)
        if len(data) > _LARGEST:
            raise codec.too_large(len(data))
        self._broken = True
        try:
            left = memoryview(_LENGTH.pack(len(data)) + data)
            while left:
                try:
                    left = left[os.write(self._end, left) :]
                except BlockingIOError:
                    if not self._ready(select.POLLOUT, patience):
                        raise Stalled from None
        except OSError as error:
            raise Disconnected from error
        self._broken = False

    def receive(self, timeout: float | None = None) -> Any:
        """The next message; None if there is none within ``timeout`` seconds (None: wait).

        Raises:
            Disconnected: If the other side is gone, or sends what is no message.
        """
        while True:
            message = self.buffered()
            if message is not None:
                return message
            if not self._ready(select.POLLIN, timeout):
                return None
            self.take_in()

    def buffered(self) -> Any:
        """A message that has arrived whole, or None."""
        buffer = self._buffer
        if len(buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(buffer)
        if length > _LARGEST:
            raise Disconnected
        end = _LENGTH.size + length
        if len(buffer) < end:
            return None
        try:
            # A copy: an interrupt could leave a view of the buffer, which cannot grow then.
            message = codec.unpack(buffer[_LENGTH.size : end])
        except ValueError as error:
            raise Disconnected from error
        del buffer[:end]
        return message

    def take_in(self) -> None:
        """Read what has arrived; does not wait."""
        self._broken = True
        try:
            data = os.read(self._end, _AT_ONCE)
        except BlockingIOError:
            self._broken = False
            return
        except OSError as error:
            raise Disconnected from error
        if not data:
            raise Disconnected
        self._buffer += data
        self._broken = False

    def _ready(self, event: int, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self._end, event)
        return bool(poll.poll(None if timeout is None else min(max(0.0, timeout), _DAY) * 1000))

    def close(self) -> None:
        """Let the other side know. Closing again does nothing."""
        self._closed = True
        end = socket.socket(fileno=self._end)
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.detach()

    def __del__(self) -> None:
        if hasattr(self, "_end"):
            os.close(self._end)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
