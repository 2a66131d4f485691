"""Who takes part in the next step, who makes way, and how long a step may be.

Pure choice over the state of the sequences: nothing here calls the decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from headrace.engine.state import Sequence

QUANTUM = 64
"""Steps a sequence keeps its slot while others wait for one. Changing hands costs a
rebuild of the newcomer's memory, so it should not happen at every step."""

CHUNK_SECONDS = 0.05
"""Aim for the length of a step that carries a prefill beside other sequences: the time
after which a neighbour's cancel takes effect and its next token comes. So many times longer as
more readers wait for their first token than for the next, up to ``PREFILLS_ONLY`` times."""

PREFILLS_ONLY = 4
"""How much longer a step may be when it carries prefills and no decode, several of them or one that
cannot be interrupted: no reader is waiting for its next token then, only a cancel would be."""

MIN_CHUNK = 16
"""Tokens of prefill beside other sequences, however slow the machine."""

PATIENCE = 4
"""Steps after which sequences that cannot share the driver's step get one of their own."""


@attrs.define
class Limits:
    """What the planner has learnt about the decoder at work."""

    n_batch: int
    interruptible: bool = True
    """Whether a step can be ended early; if not, only short ones are cancelled soon."""
    seconds_per_token: float | None = None
    """Cost of a prefill token, averaged over recent steps."""
    max_rows: int | None = None
    """Fewer rows than there are, because all together found no room."""
    max_chunk: int | None = None
    """Shorter prefill chunks, for the same reason."""
    drafts: bool = True
    """Whether rows may have drafts; not after a step that found no room with them."""

    def learn(self, tokens: int, seconds: float) -> None:
        """Average in a step that prefilled."""
        cost = seconds / tokens
        old = self.seconds_per_token
        self.seconds_per_token = cost if old is None else 0.7 * old + 0.3 * cost

    def prefill(self, decodes: int, prefills: int) -> int:
        """Prefill tokens allowed in a step of so many sequences of each kind."""
        limit = self.n_batch
        if decodes + prefills > 1 or not self.interruptible:
            # Those who wait for their first token count as much as those who wait for the next.
            share = min(prefills / decodes, PREFILLS_ONLY) if decodes else PREFILLS_ONLY
            seconds = CHUNK_SECONDS * max(1.0, share)
            cost = self.seconds_per_token
            affordable = MIN_CHUNK if cost is None else int(seconds / max(cost, 1e-9))
            limit = min(limit, max(MIN_CHUNK, affordable))
        return limit if self.max_chunk is None else min(limit, self.max_chunk)


def parts(wanted: Mapping[Sequence, int], limit: int) -> dict[Sequence, int]:
    """Tokens of prefill that each sequence may have in a step, out of so many for all.

    One after the other has all that it wants, as far as that goes, because a step computes many
    tokens of one sequence faster than few of many: attention goes over what each of them sees.
    Whoever was in no step for longest comes first, so that over a few steps shares are equal,
    and a long prompt does not make a short one wait for its end.

    Args:
        wanted: Tokens that each has to compute.
        limit: Tokens for all of them.
    """
    found = {}
    for sequence in sorted(wanted, key=lambda each: each.last_step):
        found[sequence] = max(0, min(wanted[sequence], limit))
        limit -= found[sequence]
    return found


def runnable(sequence: Sequence, lookahead: int) -> bool:
    """Whether a step could bring the sequence forward and its reader has room."""
    generation = sequence.generation
    return (
        generation is not None
        and not generation.over
        and generation.produced - generation.pulled < lookahead
    )


def wanted(sequence: Sequence, lookahead: int) -> bool:
    """Whether it is runnable and a reader waits for it, or drives for it."""
    generation = sequence.generation
    return generation is not None and generation.wanted and runnable(sequence, lookahead)


def leads(candidates: list[Sequence], driving: Sequence, step: int) -> list[Sequence]:
    """Sequences that the next step may be built around, the most entitled first.

    The driver's own, so that every pull brings its reader forward; before it one
    that a reader has been waiting for too long, and for longer than the driver:
    sequences that cannot share a step take turns. After it the others that readers
    wait for, in case those before find no slot.
    """
    waiting = [s for s in candidates if s is not driving and s.generation and s.generation.wanted]
    waiting.sort(key=lambda sequence: sequence.last_step)
    overdue = [
        s for s in waiting if step - s.last_step > PATIENCE and s.last_step < driving.last_step
    ]
    return [*overdue[:1], driving, *waiting]


def batch(candidates: list[Sequence], lead: Sequence, step: int) -> list[Sequence]:
    """Those that may share a step with the lead, most entitled first.

    Those within their quantum come first, then those that have not been in a
    step for longest.
    """
    key = lead.batch_key

    def entitlement(sequence: Sequence) -> tuple[bool, bool, int]:
        settled_in = sequence.slot is not None and step - sequence.seated_at < QUANTUM
        return sequence is not lead, not settled_in, sequence.last_step

    return sorted((s for s in candidates if s.batch_key == key), key=entitlement)


def evictable(
    holders: Iterable[Sequence], newcomer: Sequence, lookahead: int, step: int
) -> list[Sequence]:
    """Holders of a slot that must make way for a newcomer, the first to go in front.

    One that can still run keeps its slot until it has produced something since
    it got it, or the rebuilding of two would undo each other for ever, and for a
    quantum at least. A newcomer nobody waits for displaces idle sessions only.
    """
    if not wanted(newcomer, lookahead):
        return eviction_order((h for h in holders if h.generation is None), lookahead)
    return eviction_order((h for h in holders if _may_go(h, lookahead, step)), lookahead)


def eviction_order(holders: Iterable[Sequence], lookahead: int) -> list[Sequence]:
    """Those that miss their memory least in front: idle ones, paused ones, running ones."""
    return sorted(
        holders, key=lambda s: (wanted(s, lookahead), s.generation is not None, s.last_step)
    )


def _may_go(holder: Sequence, lookahead: int, step: int) -> bool:
    if holder.generation is None or not runnable(holder, lookahead):
        return True
    # What was computed in cuts is rebuilt in them, which may be as many steps as there are tokens.
    least = QUANTUM if holder.reproducible else 1
    productive = holder.generation.produced - holder.produced_when_seated >= least
    return productive and step - holder.seated_at >= QUANTUM
