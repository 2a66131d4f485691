"""What is planned, and what is made of what came out of it: each in a small situation."""

from __future__ import annotations

import pytest

from headrace import DecodeError, StopReason
from headrace.backend.decoder import Row
from headrace.engine import steps
from headrace.engine.slots import Slots
from headrace.engine.state import PlannedRow, Proposal, Step
from headrace.engine.steps import Planner
from tests.unit.engine.situations import NotingSampler, begin, idle, noting, result, running

READS = {"wanted": True}
EOG = 999


def is_eog(token):
    """One token ends a text."""
    return token == EOG


def planner(**info):
    """Over an empty memory."""
    _, decoder = noting(**info)
    return Planner(decoder, Slots(decoder, 2))


def shape(step):
    """Of each row the sequence, where it begins, how long it is and whether it samples."""
    rows = [planned.row for planned in step.rows]
    return [(r.sequence, r.position, len(r.tokens), r.sampler is not None) for r in rows]


PLANS = [
    # lengths of prompts and of what is in memory of them; limits; rows
    ("one prompt", [(5, 0)], {}, [(0, 0, 5, True)]),
    ("a prompt longer than the batch", [(50, 0)], {}, [(0, 0, 32, False)]),
    ("its rest", [(50, 32)], {}, [(0, 32, 18, True)]),
    ("one token", [(5, 4)], {}, [(0, 4, 1, True)]),
    ("two that decode", [(5, 4), (9, 8)], {}, [(0, 4, 1, True), (1, 8, 1, True)]),
    ("a prompt beside one", [(5, 4), (50, 0)], {}, [(0, 4, 1, True), (1, 0, 16, False)]),
    ("two prompts, one after the other", [(50, 0), (50, 0)], {}, [(0, 0, 16, False)]),
    ("a short one leaves room", [(3, 0), (50, 0)], {}, [(0, 0, 3, True), (1, 0, 13, False)]),
    ("more than can be resident", [(5, 4)] * 3, {}, [(0, 4, 1, True), (1, 4, 1, True)]),
    ("a batch of one token", [(5, 4), (9, 8)], {"n_batch": 1}, [(0, 4, 1, True)]),
]


@pytest.mark.parametrize(
    ("lengths", "info", "expected"), [case[1:] for case in PLANS], ids=[case[0] for case in PLANS]
)
def test_which_rows_a_step_has(lengths, info, expected):
    """One token of each that decodes, and of the prompts as much as there is room for."""
    _, decoder = noting(**info)
    slots = Slots(decoder, 2)
    sequences = []
    for length, resident in lengths:
        sequence = running(range(length), run=READS)
        sequences.append(sequence)
        if len(sequences) <= decoder.info.n_sequences:
            slots.seat(sequence, (), 0)
            sequence.resident = list(range(resident))
    step = Planner(decoder, slots).plan(sequences, sequences[0], 1)
    assert shape(step) == expected


@pytest.mark.parametrize(
    ("run", "fields", "expected"),
    [
        ({"max_tokens": 0}, {}, [(0, 0, 4, False)]),
        ({}, {"reproducible": True, "cuts": [3, 5]}, [(0, 0, 3, False)]),
        ({}, {"reproducible": True, "cuts": []}, [(0, 0, 5, True)]),
        ({}, {"reproducible": True, "width": 8}, [(0, 0, 4, False)]),
    ],
)
def test_where_a_row_ends(run, fields, expected):
    """Before the last token if none is wanted; where it was cut the first time."""
    sequence = running(range(5), run=run, **fields)
    assert shape(planner(max_draft=7).plan([sequence], sequence, 1)) == expected


def test_a_prefill_that_is_done_already_ends_at_once():
    """There is nothing to run for ``max_tokens=0``."""
    sequence = running([1], run={"max_tokens": 0})
    assert planner().plan([sequence], sequence, 1) is None
    assert sequence.generation.end is StopReason.MAX_TOKENS


def test_a_sampler_looks_back_at_the_prompt_and_is_made_once():
    """As far as the sampling wants it, which is not at all here."""
    raw, decoder = noting()
    sequence = running(range(5))
    plans = Planner(decoder, Slots(decoder, 2))
    sampler = plans.plan([sequence], sequence, 1).rows[0].row.sampler
    assert plans.plan([sequence], sequence, 2).rows[0].row.sampler is sampler
    assert [call[0] for call in raw.calls] == ["new_sampler"]


@pytest.mark.parametrize(
    ("proposed", "max_draft", "drafts", "expected"),
    [((7, 8, 9), 7, True, (7, 8, 9)), ((7, 8, 9), 2, True, (7, 8)), ((7, 8), 7, False, ())],
)
def test_what_was_proposed_becomes_part_of_the_row(proposed, max_draft, drafts, expected):
    """As much as there is room for, and none after a step that found no room."""
    sequence = running(range(5), drafter=object())
    sequence.proposal = Proposal(sequence.generation, 0, proposed)
    plans = planner(max_draft=max_draft)
    plans.limits.drafts = drafts
    assert plans.plan([sequence], sequence, 1).rows[0].row.draft == expected


NO_ROOM = [
    # rows of the step, others in memory; whether to go on; what was learned
    ("drafts first", [(1, (7,))], [], True, {"drafts": False}),
    ("then who is not in it", [(1, ())], ["idle"], True, {}),
    ("then half the rows", [(1, ()), (1, ())], [], True, {"max_rows": 1}),
    ("then half the prompt", [(20, ())], [], True, {"max_chunk": 10}),
    ("nothing is left", [(1, ())], [], False, {}),
]


@pytest.mark.parametrize(
    ("rows", "others", "goes_on", "learned"),
    [case[1:] for case in NO_ROOM],
    ids=[case[0] for case in NO_ROOM],
)
def test_what_is_tried_when_there_is_no_room(rows, others, goes_on, learned):
    """Less and less, until a lone token is left."""
    _, decoder = noting()
    slots = Slots(decoder, 2)
    step = Step(1, [])
    for length, draft in rows:
        sequence = running(range(length))
        slots.seat(sequence, (), 0)
        row = Row(sequence.slot, 0, list(range(length)), None, draft)
        step.rows.append(PlannedRow(sequence, sequence.generation, length, row))
    resting = [idle([1]) for _ in others]
    for each in resting:
        slots.seat(each, (), 0)
    plans = Planner(decoder, slots)
    assert plans.make_room(step) is goes_on
    fresh = Planner(decoder, slots).limits
    changed = {
        name: getattr(plans.limits, name)
        for name in ("drafts", "max_rows", "max_chunk")
        if getattr(plans.limits, name) != getattr(fresh, name)
    }
    assert changed == learned
    assert [each.slot for each in resting] == [None] * len(resting)
    plans.learn(step)
    assert (plans.limits.drafts, plans.limits.max_rows, plans.limits.max_chunk) == (
        True,
        None,
        None,
    )


def planned(sequence, tokens, *, draft=(), proposed=None, samples=True):
    """A row of it that begins where its memory ends."""
    position = len(sequence.resident)
    row = Row(0, position, list(tokens), NotingSampler() if samples else None, draft)
    count = len(draft) if proposed is None else proposed
    return PlannedRow(sequence, sequence.generation, len(sequence.line), row, count)


APPLIED = [
    # tokens run, draft, samples, outcome; line, memory, whether in line, end
    ("a token", (2,), (), True, (3, 50), [0, 1, 2, 50], [0, 1, 2], True, None),
    ("only run", (2,), (), False, (3,), [0, 1, 2], [0, 1, 2], True, None),
    ("cut short", (2,), (), True, (2,), [0, 1, 2], [0, 1], False, None),
    ("not sampled", (2,), (), True, (3,), [0, 1, 2], [0, 1, 2], False, None),
    ("memory was lost", (2,), (), True, (0, 50), [0, 1, 2, 50], [], False, None),
    ("an end", (2,), (), True, (3, EOG), [0, 1, 2, EOG], [0, 1, 2], True, "eog"),
    (
        "a draft",
        *((2,), (7, 8), True, (5, 7, 8, 9)),
        *([0, 1, 2, 7, 8, 9], [0, 1, 2, 7, 8], True, "max_tokens"),
    ),
    ("half of it", (2,), (7, 8), True, (4, 7, 9), [0, 1, 2, 7, 9], [0, 1, 2, 7], True, None),
    ("none of it", (2,), (7, 8), True, (3, 9), [0, 1, 2, 9], [0, 1, 2], True, None),
    (
        "an end in it",
        *((2,), (7, EOG), True, (5, 7, EOG, 9)),
        *([0, 1, 2, 7, EOG], [0, 1, 2, 7, EOG], False, "eog"),
    ),
    (
        "more than wanted",
        *((2,), (7, 8, 9), True, (6, 7, 8, 9, 10)),
        *([0, 1, 2, 7, 8, 9], [0, 1, 2, 7, 8, 9], False, "max_tokens"),
    ),
]


@pytest.mark.parametrize(
    ("tokens", "draft", "samples", "outcome", "line", "memory", "in_line", "end"),
    [case[1:] for case in APPLIED],
    ids=[case[0] for case in APPLIED],
)
def test_what_is_made_of_a_row(tokens, draft, samples, outcome, line, memory, in_line, end):
    """The line grows by what belongs to the generation, memory by what it really has; once."""
    sequence = idle(resident=[0, 1], in_line=True)
    run = begin(sequence, [0, 1, 2], max_tokens=3)
    row, step = planned(sequence, tokens, draft=draft, samples=samples), Step(1, [])
    for _ in range(2):
        steps.apply(step, row, result(*outcome), is_eog)
        assert (list(sequence.line), sequence.resident, sequence.in_line) == (line, memory, in_line)
        assert run.end == end
        assert run.produced == len(line) - 3
        assert run.tally.steps == 1


def test_the_last_place_of_a_context_ends_a_generation():
    """A token that has none to be run in is kept, and is the last."""
    sequence = idle(resident=[0, 1], room=3)
    run = begin(sequence, [0, 1, 2])
    steps.apply(Step(1, []), planned(sequence, [2]), result(3, 50), is_eog)
    assert (list(sequence.line), run.end) == ([0, 1, 2, 50], StopReason.CONTEXT_FULL)


@pytest.mark.parametrize(("ignored", "end"), [(True, None), (False, StopReason.EOG)])
def test_an_end_may_be_ignored(ignored, end):
    """It is chosen then only where a grammar allows nothing else."""
    sequence = idle(resident=[0, 1])
    run = begin(sequence, [0, 1, 2], ignore_eog=ignored)
    steps.apply(Step(1, []), planned(sequence, [2]), result(3, EOG), is_eog)
    assert run.end is end


def test_an_error_of_a_row_is_its_generations():
    """What memory holds is looked at again."""
    sequence, error = running(range(3), resident=[0, 1]), DecodeError("broken")
    steps.apply(Step(1, []), planned(sequence, [2]), result(2, error=error), is_eog)
    assert sequence.generation.error is error
    assert not sequence.in_line


def test_a_generation_that_was_settled_meanwhile_gets_nothing():
    """Memory is ahead of the line then."""
    sequence = running(range(3), resident=[0, 1], in_line=True)
    row, run = planned(sequence, [2]), sequence.generation
    sequence.generation = None
    steps.apply(Step(1, []), row, result(3, 50), is_eog)
    assert (list(sequence.line), sequence.resident, run.produced) == ([0, 1, 2], [0, 1, 2], 0)
    assert not sequence.in_line


def test_a_closed_session_is_left_alone():
    """Its memory belongs to others."""
    sequence = running(range(3), resident=[0, 1], failure=DecodeError("closed"))
    steps.apply(Step(1, []), planned(sequence, [2]), result(3, 50), is_eog)
    assert (list(sequence.line), sequence.resident) == ([0, 1, 2], [0, 1])


@pytest.mark.parametrize(
    ("by_itself", "outcome", "expected"),
    [(True, (2,), 1), (False, (2,), 0), (True, (3,), 0), (True, (3, 50), 0)],
)
def test_steps_that_do_nothing_are_counted(by_itself, outcome, expected):
    """If nobody had asked for their end; anything done begins anew."""
    sequence = running(range(3), resident=[0, 1])
    step = Step(1, [], ended_by_itself=by_itself)
    steps.apply(step, planned(sequence, [2]), result(*outcome), is_eog)
    assert sequence.generation.fruitless == expected


@pytest.mark.parametrize(
    ("tokens", "outcome", "proposed", "counted"),
    [
        ((1, 2), (3, 50), 0, {"prefill_tokens": 2, "prefill_seconds": 0.5}),
        ((2,), (3, 50), 0, {"prefill_tokens": 1, "prefill_seconds": 0.5}),
        ((2,), (5, 7, 8, 50), 2, {"prefill_tokens": 1, "drafted_tokens": 2, "accepted_tokens": 2}),
        ((2,), (4, 7, 50), 2, {"drafted_tokens": 2, "accepted_tokens": 1}),
    ],
)
def test_what_a_step_counts_for(tokens, outcome, proposed, counted):
    """What brings the first token is prefill, however short."""
    sequence = running(range(3), resident=list(range(3 - len(tokens))))
    draft = (7, 8)[:proposed]
    row = planned(sequence, tokens, draft=draft)
    steps.apply(Step(1, [], seconds=0.5), row, result(*outcome), is_eog)
    tally = sequence.generation.tally
    assert {name: getattr(tally, name) for name in counted} == counted
    assert tally.decode_tokens == 0
