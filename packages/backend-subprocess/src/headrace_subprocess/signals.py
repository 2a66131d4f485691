"""What travels beside the channels: short records through a pipe.

A write of a record is atomic and takes no lock, so it may come from any thread, a
finalizer or a signal handler, while the child is busy with anything else.
"""

from __future__ import annotations

import contextlib
import enum
import os
import struct

import attrs

_RECORD = struct.Struct(">HHIQ")


class Signal(enum.IntEnum):
    """What is signalled."""

    CANCEL = 1
    TIME_OUT = 2
    DROP = 3
    """The session is not wanted any more."""
    STOP_LOAD = 4
    STOP_CALL = 5
    """Nobody waits for a call's answer any more."""
    FORGET = 6
    """An adapter, a control vector or a parser is not wanted any more."""


@attrs.frozen
class Note:
    """A signal, and what it is about."""

    signal: Signal
    session: int = 0
    """The session's number; of the last two signals that of the call or thing."""
    generation: int = 0


def send(pipe: int, note: Note) -> None:
    """Write a note; a child that is gone is told nothing."""
    record = _RECORD.pack(note.signal, 0, note.session, note.generation)
    with contextlib.suppress(OSError):
        os.write(pipe, record)


def receive(pipe: int) -> list[Note]:
    """The notes that have arrived; waits for one. Empty if the other side is gone."""
    data = os.read(pipe, _RECORD.size * 64)
    return [
        Note(Signal(signal), session, generation)
        for signal, _, session, generation in _RECORD.iter_unpack(data)
    ]
