"""What a sequence and the record of a generation say of themselves: each in a small situation."""

from __future__ import annotations

import pytest

from headrace import DecodeError, StopReason
from headrace.backend.decoder import Truncation
from headrace.engine.state import EngineState, Proposal, Step
from headrace.params import EngineParams
from tests.unit.engine.situations import begin, idle, noting, running
from tests.unit.engine.test_steps import planned

KEEPABLE = [
    # line, memory, cuts of a reproducible one (None: it is not), how much is kept
    ("empty", [], [], None, 0),
    ("a beginning", [1, 2, 3], [1, 2], None, 2),
    ("one is left to run", [1, 2, 3], [1, 2, 3], None, 2),
    ("up to where they part", [1, 2, 3, 4], [1, 2, 9, 9], None, 2),
    ("down to a cut", [1, 2, 3, 4], [1, 2, 3], [2, 4], 2),
    ("no cut before it", [1, 2, 3, 4], [1, 2, 3], [4], 0),
]


@pytest.mark.parametrize(
    ("line", "resident", "cuts", "kept"),
    [case[1:] for case in KEEPABLE],
    ids=[case[0] for case in KEEPABLE],
)
def test_how_much_of_memory_is_of_use(line, resident, cuts, kept):
    """What the line begins with; where cuts are repeated, down to one of them."""
    reproducible = cuts is not None
    sequence = idle(line, resident=resident, cuts=cuts or [], reproducible=reproducible)
    assert sequence.keepable() == kept


CHUNKS = [
    # tokens of the line, in memory, limit, cuts, width, where the call ends
    ("all", 5, 0, 32, None, 1, 5),
    ("as many as there is room for", 50, 10, 16, None, 1, 26),
    ("where it was cut before", 50, 0, 32, [7, 20], 1, 7),
    ("the next cut", 50, 7, 32, [7, 20], 1, 20),
    ("behind all cuts", 50, 20, 32, [7, 20], 1, 50),
    ("cuts within the width together", 50, 7, 32, [7, 8, 9, 10, 40], 8, 10),
    ("the last one of a wide call alone", 5, 0, 32, [], 8, 4),
]


@pytest.mark.parametrize(
    ("length", "resident", "limit", "cuts", "width", "end"),
    [case[1:] for case in CHUNKS],
    ids=[case[0] for case in CHUNKS],
)
def test_where_the_next_call_ends(length, resident, limit, cuts, width, end):
    """At a cut, if there is one before the limit."""
    sequence = idle(
        range(length),
        resident=list(range(resident)),
        cuts=cuts or [],
        width=width,
        reproducible=cuts is not None,
    )
    assert sequence.chunk_end(limit) == end


@pytest.mark.parametrize(
    ("width", "calls", "cuts"),
    [
        (1, [(0, 5), (5, 6)], [5, 6]),
        (1, [(0, 5), (0, 5)], [5]),
        (4, [(0, 5), (5, 8)], [5, 6, 7, 8]),
        (4, [(0, 9), (2, 5)], [3, 4, 5, 9]),
    ],
)
def test_what_is_noted_of_a_call(width, calls, cuts):
    """Its end; in one that is filled up to a width every place is as good."""
    sequence = idle(range(9), reproducible=True, width=width)
    for start, length in calls:
        sequence.record_cut(start, length)
    assert sequence.cuts == cuts


@pytest.mark.parametrize(
    ("settings", "spare", "expected"),
    [
        ({}, 0, 0),
        ({"on_context_full": "shift"}, 0, 5),
        ({"on_context_full": "shift", "keep": 4}, 0, 3),
        ({"on_context_full": "shift", "keep": 4}, 3, 1),
        ({"on_context_full": "shift", "keep": 9}, 3, 0),
    ],
)
def test_how_much_a_full_context_may_forget(settings, spare, expected):
    """Half of what is neither kept nor still unread."""
    assert idle(range(10), **settings).forgettable(spare) == expected


def test_a_cut_history_takes_its_cuts_along():
    """They could not be replayed; memory follows later."""
    sequence = idle(range(9), cuts=[3, 6, 9], reproducible=True, in_line=True, cramped=True)
    sequence.forget_after(6)
    assert (list(sequence.line), sequence.cuts, sequence.in_line) == (list(range(6)), [3, 6], False)
    assert sequence.cramped
    sequence.forget_after(0)
    assert not sequence.cramped


@pytest.mark.parametrize(
    ("run", "over", "ready"),
    [
        ({}, False, False),
        ({"produced": 1}, False, True),
        ({"produced": 1, "pulled": 1}, False, False),
        ({"interrupted": StopReason.CANCELLED}, True, True),
        ({"end": StopReason.EOG}, True, True),
        ({"error": DecodeError("broken")}, True, True),
        ({"report": object()}, True, True),
    ],
)
def test_when_a_generation_is_over(run, over, ready):
    """Ready is what a reader need not wait for."""
    record = running(run=run).generation
    assert (record.over, record.ready) == (over, ready)


@pytest.mark.parametrize(
    ("run", "remembered"),
    [
        ({}, 2),
        ({"processed": 4}, 4),
        ({"processed": 5, "produced": 3}, 5),
        ({"processed": 5, "produced": 3, "seen": 2}, 7),
        ({"processed": 4, "end": StopReason.MAX_TOKENS}, 5),
    ],
)
def test_what_a_reader_saw_is_remembered(run, remembered):
    """Of the prompt what was processed, as long as nothing came of it."""
    sequence = idle([1, 2])
    record = begin(sequence, [3, 4, 5], **run)
    sequence.line.extend(range(record.produced))
    assert (record.base, record.start, record.prompt_end) == (2, 5, 5)
    assert record.remembered() == remembered


def test_counts_stay_where_the_beginning_is_forgotten():
    """They count from the first token there ever was."""
    sequence = idle(range(10), on_context_full="shift", keep=2)
    record = begin(sequence, [50, 51])
    record.processed = record.start
    sequence.shift_out(4)
    assert (record.start, record.prompt_end, record.remembered()) == (12, 8, 8)
    assert list(sequence.line) == [0, 1, 6, 7, 8, 9, 50, 51]
    record.found_in_memory(3)
    assert (record.cached, record.processed) == (3, 12)


@pytest.mark.parametrize(("prompt", "carry"), [([3], b""), ([], b"\xc3")])
def test_bytes_that_were_not_shown_go_with_a_generation_that_goes_on(prompt, carry):
    """A new prompt begins a new text."""
    assert begin(idle([1, 2], carry=b"\xc3"), prompt).carry == carry


def test_a_proposal_is_for_one_place():
    """After another token it answers nothing, nor does it for the next generation."""
    sequence = running()
    proposal = Proposal(sequence.generation, 0, (7,))
    assert proposal.answers(sequence.generation)
    sequence.generation.produced = 1
    assert not proposal.answers(sequence.generation)
    assert not proposal.answers(running().generation)


def test_a_step_is_unwanted_when_nobody_wants_it():
    """One reader that goes on is enough."""
    first, second = running(), running()
    step = Step(1, [planned(first, [1]), planned(second, [1])])
    first.generation.interrupted = StopReason.CANCELLED
    assert not step.unwanted
    second.generation.end = StopReason.EOG
    assert step.unwanted
    assert step.sequences == [first, second]


@pytest.mark.parametrize(("truncation", "lookahead"), [("any", 5), ("none", 1)])
def test_look_ahead_is_short_where_memory_cannot_forget_its_end(truncation, lookahead):
    """One unread token is already one too many for a cancel to be cheap."""
    _, decoder = noting(truncation=Truncation(truncation))
    state = EngineState(decoder, None, None, EngineParams(lookahead=5))
    assert state.lookahead == lookahead
