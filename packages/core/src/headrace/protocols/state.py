"""Optional protocol of the sequence decoder: a sequence's memory as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class StatefulDecoder(Protocol):
    """A ``SequenceDecoder`` whose memory can be written down and read back.

    The engine calls these as it calls ``truncate``: by the driver alone, and
    with bytes that were checked to be what ``export_state`` once gave.
    """

    state_key: Mapping[str, str]
    """What a memory must have in common with the decoder that reads it, in words for
    people: at least ``model``, a fingerprint of the file, and ``memory``, the settings."""

    def export_state(self, sequence: int) -> memoryview:
        """What the sequence has in memory; empty if it cannot be written down now."""
        ...

    def import_state(self, sequence: int, state: memoryview) -> int:
        """Give the empty sequence such a memory; returns its length in tokens.

        0, with the sequence empty, if it could not be had: for want of room, or because
        the bytes are not understood.
        """
        ...
