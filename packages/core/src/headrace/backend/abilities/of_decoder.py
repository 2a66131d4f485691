"""What a ``SequenceDecoder`` may have beside its own methods.

Every one of these protocols is optional; the engine looks whether the object has the methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    from headrace.adapters import LoadedAdapter
    from headrace.backend.decoder import Row, StepOutcome, StepStatus
    from headrace.errors import HeadraceError
    from headrace.results import TokenLogprob
    from headrace.results.machine import DeviceMemory


@runtime_checkable
class ApartDecoder(Protocol):
    """A ``SequenceDecoder`` with ``n_apart`` memories of ``n_ctx_sequence`` tokens beside its own.

    What such a memory holds must be a function of the calls for its sequence since it was last
    empty: after a truncation it is what it was at that length, ``import_state`` refuses what
    it cannot put back as it was computed. A step has rows of a single one, or of none.
    """

    def open_apart(self) -> None:
        """Make these memories, unless they are there; called before the first of them is used.

        Raises:
            ModelMemoryError: If there is no memory for them.
            ModelLoadError: If the library refuses for another reason.
        """
        ...


@runtime_checkable
class RecalledDecoder(Protocol):
    """A ``SequenceDecoder`` with ``max_more``, whose steps go on while every row wants more."""

    def step(
        self,
        step_id: int,
        rows: Sequence[Row],
        *,
        time_limit: float | None = None,
        span: float = 0.0,
    ) -> StepOutcome:
        """Run the rows in one native call, see ``SequenceDecoder.step``, and go on.

        Where all rows have ``n_more`` the tokens sampled are computed too and the next ones
        sampled, again and again: until a row has all that it wanted or a token that ends its
        generation, until the step is recalled, or until another such turn would not be over
        ``span`` seconds after the step began. A turn that comes to nothing is as if it had not
        been begun. One that is interrupted makes the step an interrupted one, whose rows have the
        tokens of the turns before.

        Args:
            step_id: Larger than every earlier one.
            rows: At most one for each sequence, at most ``n_batch`` tokens in all.
            time_limit: Seconds after which the step interrupts itself.
            span: Seconds that it may go on; 0: it takes one turn.
        """
        ...

    def recall(self, step_id: int) -> None:
        """Have that step not go on beyond the turn that runs: somebody waits for it to end.

        From any thread at any time, as ``interrupt``; takes no lock. A stale id does nothing.
        """
        ...


@attrs.define(slots=True)
class ScoreRow:
    """Tokens to run, and what was seen to follow each."""

    sequence: int
    """Its number, 0 … n_sequences−1, or of one that is apart."""
    position: int
    """Length of its memory before the call: where the first token goes."""
    tokens: Sequence[int]
    """Token ids to run, at least one."""
    targets: Sequence[int]
    """The token that follows each of them; empty: none is asked for."""
    n_top: int = 0
    """How many of the most likely tokens are wanted beside each target."""


@attrs.define(slots=True)
class ScoreOutcome:
    """What came out of a row that was scored."""

    status: StepStatus
    length: int
    """Tokens of the sequence in memory after the call; 0 if its memory was lost."""
    logprobs: Sequence[TokenLogprob] = ()
    """One for each target, with ``DONE``."""
    error: HeadraceError | None = None
    """With ``FAILED``."""


@runtime_checkable
class ScoringDecoder(Protocol):
    """A ``SequenceDecoder`` that tells how likely given tokens are.

    The engine calls it as it calls ``step``, with step ids from the same series.
    """

    score_limit: int
    """Most targets of one call, at least 1."""

    def score(self, step_id: int, row: ScoreRow) -> ScoreOutcome:
        """Run a row in one native call; ``interrupt`` ends it early.

        A ``KeyboardInterrupt`` may be raised once the call has ended early.
        """
        ...


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


@attrs.frozen
class AppliedAdapter:
    """An adapter or control vector, and how strongly it acts."""

    loaded: LoadedAdapter
    """What this decoder's model loaded."""
    scale: float = 1.0
    """Factor of what it adds."""
    first_layer: int | None = None
    """Of a control vector: the first layer it is added to, from 1; None: its first."""
    last_layer: int | None = None
    """The last one, included; None: its last."""


@runtime_checkable
class AdapterDecoder(Protocol):
    """A ``SequenceDecoder`` that computes with them."""

    def use_adapters(self, adapters: Sequence[AppliedAdapter]) -> None:
        """Compute the steps that follow with these, and no others; at first there are none.

        Called between steps, by whoever drives. What is in memory keeps its values:
        the engine runs no sequence on memory that was computed with others.

        Raises:
            ClosedError: If one of them was closed meanwhile; nothing was changed.
        """
        ...


@runtime_checkable
class TellsMemory(Protocol):
    """A ``SequenceDecoder`` that knows what it has taken; called by the driver alone."""

    def device_memory(self) -> Sequence[DeviceMemory]:
        """What the context and its model take of each device's memory."""
        ...
