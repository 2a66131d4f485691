"""A backend with bad manners, installed by the fixture of that name and run in a process.

What comes after ``rude:`` is what it does while it loads; then it is a fake.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import struct
import sys
import threading

import attrs

from headrace import Capability
from headrace.protocols import hookimpl
from headrace_fake import FakeBackend


class Panic(BaseException):
    """As a panic of a Rust extension is."""


def _to_sockets(data):
    """Write past the protocol, into all channels; the door would block."""
    for fd in range(3, 100):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and not os.get_blocking(fd):
                os.write(fd, data)
        except OSError:
            continue


def _half(message):
    _to_sockets(message)
    threading.Event().wait()


def _trickle():
    _to_sockets(struct.pack(">I", 1000))
    while True:
        _to_sockets(b".")
        threading.Event().wait(0.05)


def _spin():
    while True:
        pass


def _panic():
    raise Panic("at the disco")


def _write(ignore):
    ctypes.CDLL(None).signal(signal.SIGXFSZ, 1 if ignore else 0)  # as native code may
    with open(os.path.join(os.path.dirname(__file__), "written"), "wb", buffering=0) as file:
        file.write(b"a")


def _mute():
    """Close all connections, and go on."""
    for fd in range(3, 100):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.close(fd)
        except OSError:
            continue
    threading.Event().wait()


DEEDS = {
    "exit": lambda: sys.exit("no licence"),
    "exit code": lambda: sys.exit(3),
    "os exit": lambda: os._exit(9),
    "panic": _panic,
    "print": lambda: print("x" * 2**20),
    "spin": _spin,
    "write": lambda: _write(ignore=True),
    "write and die": lambda: _write(ignore=False),
    "garbage": lambda: _half(b"\0\0\0\2\xc1\xc1"),
    "absurd": lambda: _half(struct.pack(">I", 2**32 - 1)),
    "half": lambda: _half(struct.pack(">I", 100) + b"."),
    "trickle": _trickle,
    "mute": _mute,
    "nothing": lambda: None,
    "cling": lambda: None,
}


class Rude:
    """A fake, after a deed."""

    name = "rude"
    protocol_version = 2
    version = "1"

    def can_load(self, reference):
        """By prefix."""
        return reference.startswith("rude:")

    def capabilities(self):
        """All."""
        return frozenset(Capability)

    def load(self, request):
        """Do the deed, and be a fake whose ``system_info`` exits, and that may cling to life."""
        deed = request.reference.removeprefix("rude:")
        DEEDS[deed]()
        model = FakeBackend().load(attrs.evolve(request, reference="fake:#mean_length=0"))
        model.system_info = lambda: sys.exit("in system_info")
        if deed == "cling":
            model.close = threading.Event().wait
        return model


@hookimpl
def headrace_register_backends(register):
    """As any plugin."""
    register(Rude())
