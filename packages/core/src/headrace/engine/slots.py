"""Who has which part of the decoder's memory.

A decoder knows sequences by number; a slot is such a number. Sequences come
and go, and more of them than slots may be at work, so a slot is taken from an
idle one when it is needed and its memory rebuilt from the history later.
Only the driver changes anything here.
"""

from __future__ import annotations

from collections.abc import Collection

from headrace.engine import fairness
from headrace.engine.checked import CheckedDecoder, Reported, is_poison
from headrace.engine.line import common_prefix
from headrace.engine.state import Sequence, StoredMemory

SHARE_AT_LEAST = 16
"""Tokens of common prefix from which another sequence's memory is copied."""


class Slots:
    """The memory of a decoder, divided among sequences.

    Every native call is preceded by marking its slot unclean: an interrupt
    between two bytecodes leaves a memory that is not known, and an unclean slot
    is cleared before it is used again.
    """

    def __init__(self, decoder: CheckedDecoder, lookahead: int) -> None:
        self._decoder = decoder
        self._lookahead = lookahead
        n_slots = decoder.info.n_sequences + decoder.info.n_apart
        self._holders: list[Sequence | None] = [None] * n_slots
        self._unclean = [False] * n_slots
        self._aside: dict[Sequence, StoredMemory] = {}

    def seat(self, sequence: Sequence, planned: Collection[Sequence], step: int) -> bool:
        """Give the sequence a slot, from one that has to make way if need be."""
        if sequence.slot is not None:
            return True
        places = self._places(sequence)
        if None not in self._holders[places]:
            others = self._others(planned, places)
            holders = fairness.evictable(others, sequence, self._lookahead, step)
            if not holders:
                return False
            self._make_way(holders[0], sequence)
        slot = self._holders.index(None, places.start, places.stop)
        self._holders[slot] = sequence
        sequence.take_slot(slot, step)
        return True

    def _places(self, sequence: Sequence) -> slice:
        """The slots it may have: where there are some apart, only reproducible ones have them."""
        info = self._decoder.info
        if sequence.reproducible and info.n_apart:
            return slice(info.n_sequences, info.n_sequences + info.n_apart)
        return slice(0, info.n_sequences)

    def _others(self, planned: Collection[Sequence], places: slice) -> list[Sequence]:
        held = self._holders[places]
        return [holder for holder in held if holder is not None and holder not in planned]

    def holders(self) -> list[Sequence]:
        """Those that have a slot."""
        return self._others((), slice(None))

    def touch(self, sequence: Sequence) -> int:
        """The slot of a sequence that a call outside a step is about to change."""
        assert sequence.slot is not None
        self._unclean[sequence.slot] = True
        return sequence.slot

    def settle(self, sequence: Sequence, resident: list[int]) -> None:
        """Note what the call has left in memory."""
        if sequence.slot is not None:
            sequence.resident = resident
            self._unclean[sequence.slot] = False

    def evict(self, holder: Sequence) -> int:
        """Take a sequence's slot away; returns its number."""
        slot = holder.slot
        assert slot is not None
        self._unclean[slot] = True
        holder.unseat()
        self._holders[slot] = None
        return slot

    def evict_one(self, planned: Collection[Sequence], newcomer: Sequence) -> bool:
        """Evict whoever misses its memory least where the newcomer could be instead.

        False if all who are there are planned.
        """
        others = self._others(planned, self._places(newcomer))
        order = fairness.eviction_order(others, self._lookahead)
        if order:
            self._make_way(order[0], newcomer)
        return bool(order)

    def _make_way(self, holder: Sequence, newcomer: Sequence) -> None:
        """Evict it; what is expensive to compute again is put aside. The driver's alone."""
        self._aside.pop(newcomer, None)  # what there is of it is about to come back
        # Cuts are repeated one by one, so a rebuild takes as long as it all took at first.
        if holder.reproducible and holder.resident and holder.stored is None:
            self._put_aside(holder)
        self.evict(holder)

    def _put_aside(self, holder: Sequence) -> None:
        """Keep what it has in memory outside the decoder; if that fails, it is rebuilt."""
        try:
            data = self.write_down(holder)
        except Reported as report:
            if is_poison(report.error):
                raise
            return
        if data.nbytes:
            memory = StoredMemory(list(holder.resident), data, holder.resident_adapters)
            self._aside[holder] = holder.stored = memory
            self._limit_what_is_aside()

    def drop_aside(self, sequence: Sequence) -> None:
        """Let go of a memory outside the decoder."""
        self._aside.pop(sequence, None)
        sequence.stored = None

    def _limit_what_is_aside(self) -> None:
        """Keep no more than the sessions together could have in memory."""
        info = self._decoder.info
        for sequence, memory in list(self._aside.items()):
            if sequence.stored is not memory:
                del self._aside[sequence]
        while (
            len(self._aside) > info.n_sequences
            or sum(len(memory.tokens) for memory in self._aside.values()) > info.n_ctx
        ):
            self.drop_aside(next(iter(self._aside)))

    def clear_vacant(self) -> None:
        """Give the memory of slots that nobody owns back to the decoder."""
        for slot, holder in enumerate(self._holders):
            if holder is not None and holder.slot != slot:
                # An interrupt fell between the two halves of ``seat`` or ``evict``.
                self._unclean[slot] = True
                self._holders[slot] = holder = None
            if holder is None and self._unclean[slot]:
                self._clear(slot)

    def bring_in_line(self, sequence: Sequence) -> None:
        """Make the memory a beginning of the sequence's line, keeping as much as possible."""
        if sequence.in_line:
            return
        slot = sequence.slot
        assert slot is not None
        if self._unclean[slot]:
            self._clear(slot)
            sequence.resident = []
        self._read_back(sequence, slot)
        self._forget_other_adapters(sequence, slot)
        self._shift(sequence, slot)
        keep = sequence.keepable()
        if keep < len(sequence.resident):
            self._unclean[slot] = True
            kept = self._decoder.truncate(slot, keep)
            del sequence.resident[kept:]
            self._unclean[slot] = False
        if self._decoder.info.can_copy and not sequence.reproducible:
            self._share_prefix(sequence, slot)
        sequence.in_line = True

    def _read_back(self, sequence: Sequence, slot: int) -> None:
        """Take in a memory that was stored; if it cannot be, it is rebuilt from the line."""
        stored, decoder = sequence.stored, self._decoder
        if stored is None or not decoder.keeps_state:
            return
        self._clear(slot)
        sequence.resident = []
        self._unclean[slot] = True
        sequence.resident_adapters = stored.adapters
        length = decoder.import_state(slot, stored.data)
        if length == len(stored.tokens):
            sequence.resident = list(stored.tokens)
            self._unclean[slot] = False
        else:
            self._clear(slot)
        sequence.stored = None

    def write_down(self, sequence: Sequence) -> memoryview:
        """What a sequence has in memory, in the decoder's own form; empty if there is nothing."""
        slot, decoder = sequence.slot, self._decoder
        if slot is None or self._unclean[slot] or not decoder.keeps_state:
            return memoryview(b"")
        return decoder.export_state(slot)

    def _forget_other_adapters(self, sequence: Sequence, slot: int) -> None:
        """What was computed with other adapters is rebuilt."""
        adapters = sequence.adapters
        if sequence.resident_adapters != adapters:
            if sequence.resident:
                self._clear(slot)
                sequence.resident = []
            sequence.resident_adapters = adapters

    def _shift(self, sequence: Sequence, slot: int) -> None:
        """Forget in memory what was forgotten in the line; if refused, the end is rebuilt."""
        count = sequence.line.dropped - sequence.resident_dropped
        start, stop = sequence.params.keep, sequence.params.keep + count
        if count > 0 and stop < len(sequence.resident) and self._decoder.info.can_shift:
            self._unclean[slot] = True
            if self._decoder.shift(slot, start, stop):
                del sequence.resident[start:stop]
            self._unclean[slot] = False
        sequence.resident_dropped = sequence.line.dropped

    def _share_prefix(self, sequence: Sequence, slot: int) -> None:
        """Copy the longest beginning that another sequence has in memory already."""
        donor, length = None, len(sequence.resident) + SHARE_AT_LEAST - 1
        for other in self._holders[self._places(sequence)]:
            if other is None or other is sequence or len(other.resident) <= length:
                continue
            if other.resident_adapters != sequence.adapters:
                continue
            assert other.slot is not None
            common = min(common_prefix(other.resident, sequence.line), len(sequence.line) - 1)
            if common > length and not self._unclean[other.slot]:
                donor, length = other, common
        if donor is None or donor.slot is None:
            return
        self._clear(slot)
        self._unclean[slot] = True
        copied = self._decoder.copy(donor.slot, slot, length)
        sequence.resident = donor.resident[:copied]
        self._unclean[slot] = False

    def _clear(self, slot: int) -> None:
        self._unclean[slot] = True
        self._decoder.clear(slot)
        self._unclean[slot] = False
