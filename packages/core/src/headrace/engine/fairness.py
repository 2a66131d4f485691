"""Who takes part in the next step, who makes way, and how long a step may be.

Pure choice over the state of the sequences: nothing here calls the decoder.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from headrace.engine.sequence import Sequence

QUANTUM = 64
"""Steps a sequence keeps its slot while others wait for one. Changing hands costs a
rebuild of the newcomer's memory, so it should not happen at every step; a runnable
sequence waits at most QUANTUM steps for every n_sequences sequences before it."""

CHUNK_SECONDS = 0.05
"""Aim for the length of a step that carries a prefill beside other sequences: the time
after which a neighbour's cancel takes effect and its next token comes."""

PREFILLS_ONLY = 4
"""How much longer a step may be when it carries several prefills and no decode: no reader
is waiting for its next token then, only a cancel would be."""

MIN_CHUNK = 16
"""Tokens of prefill beside other sequences, however slow the machine."""

PATIENCE = 4
"""Steps after which sequences that cannot share the driver's step get one of their own."""


@attrs.define
class Limits:
    """What the planner has learnt about the decoder at work."""

    n_batch: int
    seconds_per_token: float | None = None
    """Cost of a prefill token, averaged over recent steps."""
    max_rows: int | None = None
    """Fewer rows than there are, because all together found no room."""
    max_chunk: int | None = None
    """Shorter prefill chunks, for the same reason."""

    def learn(self, tokens: int, seconds: float) -> None:
        """Average in a step that prefilled."""
        cost = seconds / tokens
        old = self.seconds_per_token
        self.seconds_per_token = cost if old is None else 0.7 * old + 0.3 * cost

    def prefill(self, decodes: int, prefills: int) -> int:
        """Prefill tokens allowed in a step of so many sequences of each kind."""
        limit = self.n_batch
        if decodes + prefills > 1:
            seconds = CHUNK_SECONDS if decodes else CHUNK_SECONDS * PREFILLS_ONLY
            cost = self.seconds_per_token
            affordable = MIN_CHUNK if cost is None else int(seconds / max(cost, 1e-9))
            limit = min(limit, max(MIN_CHUNK, affordable))
        return limit if self.max_chunk is None else min(limit, self.max_chunk)


def runnable(sequence: Sequence, lookahead: int) -> bool:
    """Whether a step could bring the sequence forward and its reader has room."""
    generation = sequence.generation
    return (
        generation is not None
        and not generation.over
        and generation.produced - generation.pulled < lookahead
    )


def choose_batch(candidates: list[Sequence], driving: Sequence, step: int) -> list[Sequence]:
    """Those of the runnable sequences that may share the next step with each other.

    The driver's own batch, unless sequences that cannot join it (reproducible
    ones run alone) have been passed over for too long.
    """
    longest_waiting = min(candidates, key=lambda sequence: sequence.last_step)
    lead = longest_waiting if step - longest_waiting.last_step > PATIENCE else driving
    if lead.reproducible:
        return [lead]
    return [sequence for sequence in candidates if not sequence.reproducible]


def in_order(sequences: Iterable[Sequence], driving: Sequence, step: int) -> list[Sequence]:
    """The sequences of a batch, most entitled first.

    The driver's own comes first, so that every pull brings its reader forward
    and nobody holds a seat by waiting; then those within their quantum; then
    by how long they have not been in a step.
    """

    def entitlement(sequence: Sequence) -> tuple[bool, bool, int]:
        settled_in = sequence.slot is not None and step - sequence.seated_at < QUANTUM
        return sequence is not driving, not settled_in, sequence.last_step

    return sorted(sequences, key=entitlement)


def eviction_order(holders: Iterable[Sequence], lookahead: int) -> list[Sequence]:
    """Holders of a slot, the one to lose it first in front: idle or paused before running."""

    def worth(sequence: Sequence) -> tuple[bool, int]:
        return runnable(sequence, lookahead), sequence.last_step

    return sorted(holders, key=worth)


def may_displace(newcomer: Sequence, holder: Sequence, lookahead: int, step: int) -> bool:
    """Whether a holder has to make way: always when it is idle, else after its quantum."""
    if not runnable(holder, lookahead):
        return True
    return step - holder.seated_at >= QUANTUM and holder.last_step > newcomer.last_step
