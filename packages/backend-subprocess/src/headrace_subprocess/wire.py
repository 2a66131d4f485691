"""A channel: messages over a socket, each with its length in front.

One thread sends and one receives at a time; the parent's side may be waited for by
a task too. What is received is kept in one buffer and cut off in one statement, so
that a wait that ends with an exception has lost nothing but what that exception was
raised inside of: ``synchronous`` tells.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import Any

from headrace_subprocess import codec

_LENGTH = struct.Struct(">I")
_LARGEST = 2**31
_AT_ONCE = 2**18


class Disconnected(Exception):
    """The other side is gone."""


class Channel:
    """One end of a connection.

    Args:
        end: File descriptor of a connected stream socket; owned from now on.
    """

    def __init__(self, end: int) -> None:
        self._end = end
        self._buffer = bytearray()
        self.synchronous = True
        """False once an exception fell between taking bytes off the socket and keeping them."""

    def fileno(self) -> int:
        """For waiting."""
        return self._end

    def send(self, message: Any) -> None:
        """Write a message; waits while the other side does not read.

        Raises:
            Disconnected: If the other side is gone.
        """
        data = codec.pack(message)
        self.synchronous = False
        try:
            left = memoryview(_LENGTH.pack(len(data)) + data)
            while left:
                left = left[os.write(self._end, left) :]
        except OSError as error:
            raise Disconnected from error
        self.synchronous = True

    def receive(self, timeout: float | None = None) -> Any:
        """The next message; None if there is none within ``timeout`` seconds (None: wait).

        Raises:
            Disconnected: If the other side is gone, or sends what is no message.
        """
        while True:
            message = self.buffered()
            if message is not None:
                return message
            if not self._readable(timeout):
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
            with memoryview(buffer) as view:
                message = codec.unpack(view[_LENGTH.size : end])
        except ValueError as error:
            raise Disconnected from error
        del buffer[:end]
        return message

    def take_in(self) -> None:
        """Read what has arrived; waits if nothing has."""
        self.synchronous = False
        try:
            data = os.read(self._end, _AT_ONCE)
        except OSError as error:
            raise Disconnected from error
        if not data:
            raise Disconnected
        self._buffer += data
        self.synchronous = True

    def _readable(self, timeout: float | None) -> bool:
        if timeout is None:
            return True  # recv waits
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(max(0.0, timeout) * 1000))

    def close(self) -> None:
        """Let the other side know. Closing again does nothing."""
        end, self._end = self._end, -1
        if end >= 0:
            os.close(end)

    def __del__(self) -> None:
        self.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
