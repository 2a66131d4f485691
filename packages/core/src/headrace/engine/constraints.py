"""What a grammar makes of a row: the output so far is followed, and what may come next is noted."""

from __future__ import annotations

import threading

from headrace.engine.state import PlannedRow


def constrain(planned: PlannedRow, mutex: threading.RLock) -> None:
    """Give a row its masks, and leave out what of its draft the grammar refuses.

    A matcher follows a token once, however often it is told of it: a driver may be interrupted
    here, and the next one comes with the same output.

    Args:
        planned: Of a generation with a matcher.
        mutex: The engine's; taken for the look at the line.

    Raises:
        GrammarError: If the output cannot be followed.
    """
    generation, sequence, row = planned.generation, planned.sequence, planned.row
    matcher = generation.matcher
    if matcher is None or row.sampler is None:
        return
    with mutex:
        if sequence.generation is not generation:
            return  # settled since the step was planned: nobody sees what is sampled
        at = matcher.length
        new = sequence.line[generation.prompt_end + at : planned.line_length]
    matcher.follow(at, new)
    row.allowed, n_valid = matcher.masks(row.draft[: planned.proposed])
    if sequence.width == 1:
        row.draft = row.draft[:n_valid]
        planned.proposed = n_valid
    else:
        _pad(planned, n_valid)


def _pad(planned: PlannedRow, n_valid: int) -> None:
    """Give what fills a row up to its width masks too: they are read, and allow nothing."""
    row = planned.row
    assert row.allowed is not None
    size = row.allowed.nbytes // (1 + n_valid)
    row.allowed = memoryview(row.allowed.tobytes().ljust(size * (1 + len(row.draft)), b"\0"))
    planned.proposed = n_valid
