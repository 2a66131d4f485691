"""One sequence: its history, and a mirror of what the decoder's memory holds of it.

The decoder's memory is a cache of the history and may be dropped at any time
the sequence is not in the running step; it is then rebuilt from ``line``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from headrace.errors import HeadraceError
from headrace.params import SessionParams
from headrace.params.adapters import Use

if TYPE_CHECKING:
    from headrace.backend.decoder import DecoderInfo
    from headrace.engine.drafters import Drafter
    from headrace.engine.drafting import Proposal
    from headrace.engine.generation import EngineGeneration


class Line(list[int]):
    """Token ids of which some at the beginning may have been forgotten.

    One object, so that forgetting is a single assignment: an interrupt between
    two bytecodes sees the tokens and the count of those that are gone in step.
    """

    __slots__ = ("dropped",)

    def __init__(self, tokens: Iterable[int] = (), dropped: int = 0) -> None:
        super().__init__(tokens)
        self.dropped = dropped
        """Tokens forgotten so far; added to an index it gives one that never changes."""


@attrs.frozen(eq=False)
class StoredMemory:
    """A memory outside the decoder, to be read back when its sequence runs again."""

    tokens: list[int]
    """What it holds."""
    data: memoryview
    """The decoder's own form of it."""
    adapters: tuple[Use, ...] = ()
    """What it was computed with."""


@attrs.define(eq=False)
class Sequence:
    """State of one session inside the engine; changed under the engine's mutex only."""

    params: SessionParams
    line: Line = attrs.field(factory=Line)
    """The history; during a generation followed by its prompt and the tokens it produced."""
    resident: list[int] = attrs.field(factory=list)
    """Tokens in the decoder's memory, in order."""
    stored: StoredMemory | None = None
    """Put into the decoder before anything is computed, instead of ``resident``."""
    resident_adapters: tuple[Use, ...] = ()
    """What ``resident`` was computed with: of no use with others."""
    slot: int | None = None
    """The sequence number the decoder knows it by; None: not in memory."""
    seated_at: int = 0
    """Step at which it got its slot."""
    produced_when_seated: int = 0
    """New tokens its generation had produced then."""
    last_step: int = 0
    """Last step it took part in, or the step at which it began to wait."""
    in_line: bool = False
    """Whether ``resident`` is known to be the beginning of ``line``."""
    cuts: list[int] = attrs.field(factory=list)
    """Lengths at which native calls ended. A prefill cut differently gives logits that
    differ in the last bits, so a reproducible session repeats its cuts."""
    resident_dropped: int = 0
    """How many of the line's tokens had been forgotten when ``resident`` was in line."""
    generation: EngineGeneration | None = None
    width: int = 1
    """Tokens that its native calls have at least; of a reproducible session, else 1."""
    drafter: Drafter | None = None
    max_draft: int = 0
    """Most tokens its drafter is asked for."""
    proposal: Proposal | None = None
    """What it proposed last."""
    draftless: bool = False
    """Whether its drafter has failed."""
    cramped: bool = False
    """Whether it was cut where memory was full, which is no matter of its calls alone."""
    carry: bytes = b""
    """Bytes of remembered tokens whose text the last reader did not get."""
    failure: HeadraceError | None = None
    """Why the sequence is unusable for good: closed, or its context was poisoned."""

    @property
    def reproducible(self) -> bool:
        """Whether it is never batched with others and keeps its cuts."""
        return self.params.reproducible

    def disturbed(self, info: DecoderInfo) -> str:
        """Why what a reproducible one computes may come out otherwise, empty if it cannot."""
        if not info.reproduces:
            return "the backend keeps its memory among that of other sessions"
        return "memory was full, so its prompt was cut where room was left" if self.cramped else ""

    @property
    def adapters(self) -> tuple[Use, ...]:
        """The adapters and control vectors it is computed with."""
        return self.params.uses

    def check_adapters(self) -> None:
        """Raise ``ClosedError`` if one of them was closed."""
        for use in self.adapters:
            use.handle.check_open()

    @property
    def batch_key(self) -> object:
        """Only sequences with equal keys share a native call; a reproducible one has its own."""
        return self if self.reproducible else self.adapters

    def keepable(self) -> int:
        """How much of ``resident`` agrees with ``line``, leaving at least one token to run."""
        length = min(common_prefix(self.resident, self.line), max(0, len(self.line) - 1))
        if self.reproducible:
            at = bisect_right(self.cuts, length)
            length = self.cuts[at - 1] if at else 0
        return length

    def chunk_end(self, limit: int) -> int:
        """Where the next native call for this sequence ends, at most ``limit`` tokens on."""
        start = len(self.resident)
        end = min(len(self.line), start + limit)
        if self.reproducible:
            at = bisect_right(self.cuts, start)
            if at < len(self.cuts):
                end = min(end, self.cuts[at])
                # Calls that were no wider than the width can be put together up to it.
                most = start + min(self.width, limit)
                while at < len(self.cuts) and self.cuts[at] <= most:
                    end = self.cuts[at]
                    at += 1
            if end == len(self.line) and 1 < end - start <= self.width:
                # How many logits a call computes changes their last bits too: where the call
                # is as wide as all others, the last token has as many behind it as always.
                end -= 1
        return end

    def record_cut(self, start: int, length: int) -> None:
        """Note that a native call began and ended here.

        In a call no wider than the width, which is filled up to it, it makes no difference
        where the line is cut: any place in it is as good.
        """
        if self.reproducible:
            first = start + 1 if length - start <= self.width else length
            at = bisect_right(self.cuts, first - 1)
            self.cuts[at : bisect_right(self.cuts, length)] = range(first, length + 1)

    def forgettable(self, spare: int) -> int:
        """Tokens a full context may forget: half of those not kept, and none of the last."""
        if self.params.on_context_full != "shift":
            return 0
        return max(0, (len(self.line) - self.params.keep - spare) // 2)

    def shift_out(self, count: int) -> None:
        """Forget that many tokens after those that are kept; memory follows later."""
        keep, line = self.params.keep, self.line
        self.in_line = False
        self.line = Line(line[:keep] + line[keep + count :], line.dropped + count)

    def forget_after(self, length: int) -> None:
        """Cut the history; memory follows before the next step."""
        del self.line[length:]
        # A cut beyond the history could not be replayed: its tokens are gone.
        del self.cuts[bisect_right(self.cuts, length) :]
        self.cramped = self.cramped and length > 0
        self.in_line = False

    def take_slot(self, slot: int, step: int) -> None:
        """Begin with an empty memory."""
        self.unseat()
        self.slot = slot
        self.seated_at = step
        self.produced_when_seated = self.generation.produced if self.generation else 0

    def unseat(self) -> None:
        """Give up the slot; what was in memory will be rebuilt."""
        self.slot = None
        self.resident = []
        self.in_line = False


def common_prefix(left: list[int], right: list[int]) -> int:
    """Length of the beginning two lists share, compared in slices to stay in C."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low
