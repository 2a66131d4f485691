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
import time
from typing import TYPE_CHECKING, Any

from headrace.common.uncopyable import Uncopyable
from headrace_subprocess import codec

if TYPE_CHECKING:
    from headrace_subprocess.files import Socket
    from headrace_subprocess.patience import Patience

_LENGTH = struct.Struct(">I")
_LARGEST = 2**31
_AT_ONCE = 2**18
_DAY = 86400.0
PART = 2**24
"""Bytes of a large value that travel in one message."""


class Disconnected(Exception):
    """The other side is gone, or speaks another language."""


class Garbled(Disconnected):
    """It speaks another language."""


class Channel(Uncopyable):
    """One end of a connection.

    Closing it ends the conversation at both ends, also for a thread that waits in it;
    the file descriptor itself lives as long as the object, or a number that was given
    to another file meanwhile could be read from.

    Args:
        end: A connected stream socket; owned from now on.
    """

    def __init__(self, end: Socket) -> None:
        end.setblocking(False)
        self._end = end
        self._buffer = bytearray()
        self._broken = False
        # Not the same: a reader in another thread may just be whole again when it is closed.
        self._closed = False
        self.owed = False
        """Whether an answer is still to come."""

    @property
    def closed(self) -> bool:
        """Whether it was closed at this end."""
        return self._closed

    @property
    def synchronous(self) -> bool:
        """False once an exception fell into a message, or between a request and its answer."""
        return not (self._broken or self._closed or self.owed)

    def fileno(self) -> int:
        """For waiting."""
        return self._end.fileno()

    def send(self, message: Any, patience: Patience | None = None) -> None:
        """Write a message; waits while the other side does not read.

        Args:
            message: What to send.
            patience: What ends the wait; None: nothing but the other side.

        Raises:
            ParamsError: If it holds something that cannot be sent; nothing was written.
            Disconnected: If the other side is gone.
        """
        data = codec.pack(message)
        if len(data) > _LARGEST:
            raise codec.too_large(len(data))
        self._broken = True
        try:
            left = memoryview(_LENGTH.pack(len(data)) + data)
            while left:
                try:
                    left = left[os.write(self._end.fileno(), left) :]
                except BlockingIOError:
                    self._wait_for_room(patience)
        except OSError as error:
            raise Disconnected from error
        self._broken = False

    def _wait_for_room(self, patience: Patience | None) -> None:
        ready = self._ready(select.POLLOUT, None if patience is None else patience.wait)
        if patience is not None:
            patience.heard() if ready else patience.over()

    def receive(self, timeout: float | None = None) -> Any:
        """The next message; None if there is none within ``timeout`` seconds (None: wait).

        A part of a message is none: whoever sends a byte now and then is waited for no longer.

        Raises:
            Disconnected: If the other side is gone.
            Garbled: If it sends what is no message.
        """
        until = None if timeout is None else time.monotonic() + timeout
        left = timeout
        while True:
            message = self.buffered()
            if message is not None:
                return message
            if not self._ready(select.POLLIN, left):
                return None
            self.take_in()
            if until is not None:
                left = until - time.monotonic()
                if left < 0:
                    return self.buffered()

    def buffered(self) -> Any:
        """A message that has arrived whole, or None."""
        buffer = self._buffer
        if len(buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(buffer)
        if length > _LARGEST:
            raise Garbled
        end = _LENGTH.size + length
        if len(buffer) < end:
            return None
        try:
            # A copy: an interrupt could leave a view of the buffer, which cannot grow then.
            message = codec.unpack(buffer[_LENGTH.size : end])
        except ValueError as error:
            raise Garbled from error
        del buffer[:end]
        return message

    @property
    def holds_message(self) -> bool:
        """Whether a whole message has arrived, of whatever kind."""
        if len(self._buffer) < _LENGTH.size:
            return False
        (length,) = _LENGTH.unpack_from(self._buffer)
        return bool(length > _LARGEST or len(self._buffer) >= _LENGTH.size + length)

    def take_in(self) -> None:
        """Read what has arrived; does not wait."""
        self._broken = True
        try:
            data = os.read(self._end.fileno(), _AT_ONCE)
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
        poll.register(self._end.fileno(), event)
        return bool(poll.poll(None if timeout is None else min(max(0.0, timeout), _DAY) * 1000))

    def close(self) -> None:
        """Let the other side know. Closing again does nothing."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
