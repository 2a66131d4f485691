"""Several decode steps in one native call: when, how many, and how far ahead of the readers.

Between two steps stands Python, which costs more than a step of a small model. So where nobody
waits to join, to leave or for anything else, a step is asked to go on by itself, for so short a
time that no reader notices. Whoever comes meanwhile recalls it.

What is sampled so is ahead of the readers until they come for it. While one of them works on its
tokens the others' steps go on, so a stream may be ahead by what two such steps bring.

How much comes at once is a matter of time then. Reproducible sessions have one token a step: the
same calls show their reader the same, and leave the same history where it stops reading.
"""

from __future__ import annotations

from headrace.backend.decoder import DecoderInfo
from headrace.engine import fairness
from headrace.engine.state import PlannedRow, Sequence, Step
from headrace.params.engine import LOOKAHEAD

SPAN = 0.01
"""Seconds that a step may go on: what a reader takes for no delay at all."""

MOST = 256
"""Tokens that a stream may be ahead of its reader, however short a step is."""


def ask_for_more(step: Step, candidates: list[Sequence], lookahead: int, info: DecoderInfo) -> None:
    """Have the rows of a step want more than a token, if nobody has to wait for its end.

    Args:
        step: As planned, not begun.
        candidates: Those that could have been in it.
        lookahead: Tokens that a stream may be ahead of its reader.
        info: What the decoder can do.
    """
    if not info.max_more:
        return
    most = min([_most(planned, lookahead, info) for planned in step.rows], default=0)
    if most < 1:
        return
    if len(candidates) > len(step.rows):
        there = set(step.sequences)
        if any(fairness.wanted(each, lookahead) and each not in there for each in candidates):
            return
    for planned in step.rows:
        planned.row.n_more = most


def _most(planned: PlannedRow, lookahead: int, info: DecoderInfo) -> int:
    """How many tokens a row may want beyond its first; 0 where each needs a look at the last."""
    sequence, generation, row = planned.sequence, planned.generation, planned.row
    if row.sampler is None or len(row.tokens) > 1 or row.draft:
        return 0
    if generation.matcher is not None or sequence.drafter is not None or sequence.reproducible:
        return 0
    most = min(
        info.max_more,
        lookahead - (generation.produced - generation.pulled) - 1,
        sequence.room - planned.line_length,
    )
    if generation.max_tokens is not None:
        most = min(most, generation.max_tokens - generation.produced - 1)
    return most


def lookahead(step: Step) -> int | None:
    """Tokens that streams may be ahead of their readers, after a step of decoding; None: as before.

    Args:
        step: One that ended well.
    """
    if step.seconds <= 0 or any(planned.prefills for planned in step.rows):
        return None
    return max(LOOKAHEAD, min(MOST, int(2 * SPAN * step.n_turns / step.seconds)))
