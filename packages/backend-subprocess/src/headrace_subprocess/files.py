"""Pipes, sockets and other open files, each of which is closed in one place: by its object.

A file descriptor that is held as a number can be closed twice, or lost, by an exception that
comes between two bytecodes of a caller (Ctrl-C, a signal handler); the number may be another
file's by then. So each belongs to an object of C from the call that opens it on, which closes
it when asked to or when it is dropped, whichever comes first, and without a word.
"""

from __future__ import annotations

import _socket
import fcntl
import io
import os
import socket
from collections.abc import Callable
from functools import partial
from itertools import chain, starmap
from operator import methodcaller
from typing import Any, TypeVar

_T = TypeVar("_T", bound="File | Socket")


class File(io.FileIO):
    """One end of a pipe, or whatever else a file descriptor stands for; its number is used."""

    __del__ = io.FileIO.close  # its own complains


class Socket(_socket.socket):
    """A socket, without what ``socket.socket`` adds to it in Python."""

    __del__ = _socket.socket.close  # its own complains


_socket_of = partial(Socket, -1, -1, -1)
"""The socket of a file descriptor; family and type are the system's to tell."""


def pair() -> tuple[Socket, Socket]:
    """Two connected sockets."""
    # One star expression in C each, here and below: Python looks for signals after a call.
    ends = starmap(_socket.socketpair, [(socket.AF_UNIX, socket.SOCK_STREAM)])
    numbers = map(methodcaller("detach"), chain.from_iterable(ends))
    one, other = [*map(_socket_of, numbers)]
    return _above_standard(one, _socket_of), _above_standard(other, _socket_of)


def pipe() -> tuple[File, File]:
    """The two ends of a pipe, the one to read from first."""
    numbers = chain.from_iterable(starmap(os.pipe, [()]))
    read, write = [*map(File, numbers, ("rb", "wb"))]
    return _above_standard(read, File), _above_standard(write, File)


def opened(open_: Callable[..., int], *arguments: Any) -> File:
    """What a function of C opens, which returns the number of a file descriptor."""
    (file,) = [*map(File, starmap(open_, [arguments]))]
    return _above_standard(file, File)


def _above_standard(file: _T, kind: Callable[[int], _T]) -> _T:
    """The same open file, under a number that no standard stream has.

    In a program that closed its own, a new file gets theirs: what is meant for a stream
    would be written into it, and a child that is given it has its own stream there.
    """
    if file.fileno() > 2:
        return file
    numbers = starmap(fcntl.fcntl, [(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)])
    (moved,) = [*map(kind, numbers)]
    file.close()
    return moved
