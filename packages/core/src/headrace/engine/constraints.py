"""What a grammar makes of a row: the output so far is followed, and what may come next is noted.

Where the grammar leaves no choice, the tokens that must come are put into the line and into the
row, as if they had been sampled: one step computes them all. Reproducible sessions do not, since
what is computed must not depend on what a grammar needs; nor do those that want to know how likely
each token was, that ban tokens, or whose samplers count the tokens that they chose.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any

from headrace.backend.decoder import RowResult
from headrace.engine.state import PlannedRow, Run
from headrace.results import StopReason

MASKED = 16
"""Tokens that are masked after a draw that was refused."""


def constrain(
    planned: PlannedRow, mutex: threading.RLock, room: int, *, can_draw_first: bool
) -> bool:
    """Give a row its masks, and leave out what of its draft the grammar refuses.

    A matcher follows a token once, however often it is told of it: a driver may be interrupted
    here, and the next one comes with the same output.

    Args:
        planned: Of a generation with a matcher.
        mutex: The engine's; taken for the look at the line.
        room: Tokens that the step may have beside those that it has.
        can_draw_first: Whether memory can forget a token, to run it again with a mask.

    Returns:
        Whether the row is still to be run: not if what must come is all that was wanted.

    Raises:
        GrammarError: If the output cannot be followed.
    """
    generation, sequence, row = planned.generation, planned.sequence, planned.row
    matcher = generation.matcher
    if matcher is None or row.sampler is None:
        return True
    with mutex:
        if sequence.generation is not generation:
            return True  # settled since the step was planned: nobody sees what is sampled
        at = matcher.length
        new = sequence.line[generation.prompt_end + at : planned.line_length]
    matcher.follow(at, new)
    if _leaps(generation):
        forced = matcher.forced()
        if forced:
            _append(planned, forced[: _wanted(generation, room)], mutex)
            if generation.end is not None:
                return False
            matcher.follow(matcher.length, row.tokens[len(row.tokens) - planned.forced :])
    planned.drawn_first = can_draw_first and _draws_first(planned)
    if planned.drawn_first:
        return True
    row.allowed, n_valid = matcher.masks(row.draft[: planned.proposed])
    if sequence.width == 1:
        row.draft = row.draft[:n_valid]
        planned.proposed = n_valid
    else:
        _pad(planned, n_valid)
    return True


def _leaps(generation: Run) -> bool:
    """Whether tokens that must come are not computed one by one."""
    sampling = generation.sampling
    return not (
        generation.sequence.reproducible
        or sampling.logprobs is not None
        or sampling.looks_back
        or any(bias == -math.inf for _, bias in sampling.logit_bias)
    )


def _draws_first(planned: PlannedRow) -> bool:
    """Whether a row is sampled without a mask, and its grammar asked about that token alone.

    Where masks are dear, and a model mostly writes by itself what it is to. What is refused costs a
    step, and for a while masks come first. A sampler that keeps more than tokens could not be
    made again as it was.
    """
    generation, sampling = planned.generation, planned.generation.sampling
    return (
        generation.matcher is not None
        and generation.matcher.dear
        and not planned.row.draft
        and not generation.sequence.reproducible
        and generation.produced >= generation.masked_until
        and not sampling.mirostat
        and sampling.adaptive_target < 0.0
    )


def judge(planned: PlannedRow, result: RowResult, old_samplers: deque[Any]) -> RowResult:
    """The result of a row whose grammar was not asked before; without its token if that is refused.

    Doing so twice is doing so once.

    Args:
        planned: A row that was drawn first.
        result: What came of it.
        old_samplers: Takes the sampler, which has accepted what is refused.

    Raises:
        GrammarError: If the token cannot be looked at.
    """
    generation = planned.generation
    matcher = generation.matcher
    if matcher is None or not result.tokens or matcher.allows(result.tokens[0]):
        return result
    generation.masked_until = generation.produced + MASKED
    if generation.sampler is planned.row.sampler:
        generation.n_refused += 1
        old_samplers.append(generation.sampler)
        generation.sampler = None
    return RowResult(result.length)


def _wanted(generation: Run, room: int) -> int:
    """How many more tokens may be appended."""
    sequence = generation.sequence
    most = min(room, sequence.room - len(sequence.line))
    if generation.max_tokens is not None:
        most = min(most, generation.max_tokens - generation.produced)
    return max(0, most)


def _append(planned: PlannedRow, tokens: list[int], mutex: threading.RLock) -> None:
    """Have tokens come next, in the line and in the row that computes it."""
    generation, sequence, row = planned.generation, planned.sequence, planned.row
    with mutex:
        if sequence.generation is not generation or not tokens:
            return
        generation.put(planned.line_length, tokens)
        if generation.is_enough:
            generation.end = StopReason.MAX_TOKENS
        row.tokens = [*row.tokens, *tokens]
        row.draft, planned.proposed = (), 0  # it was to follow what is not the end any more
        planned.line_length += len(tokens)
        planned.forced = len(tokens)


def _pad(planned: PlannedRow, n_valid: int) -> None:
    """Give what fills a row up to its width masks too: they are read, and allow nothing."""
    row = planned.row
    assert row.allowed is not None
    size = row.allowed.nbytes // (1 + n_valid)
    row.allowed = memoryview(row.allowed.tobytes().ljust(size * (1 + len(row.draft)), b"\0"))
    planned.proposed = n_valid
