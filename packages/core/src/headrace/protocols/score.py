"""Optional protocol of the sequence decoder: how likely a given text is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import attrs

from headrace.errors import HeadraceError
from headrace.protocols.decoder import StepStatus
from headrace.results import TokenLogprob


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
