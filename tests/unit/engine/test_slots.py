"""Who has which part of memory, and what the decoder is asked for: each in a small situation."""

from __future__ import annotations

import pytest

from headrace.engine.line import Line
from headrace.engine.slots import Slots
from tests.unit.engine.situations import idle, noting, running

NOW = 1000
READS = {"wanted": True}
LONG = list(range(40))


def seated(slots, *sequences):
    """These, in slots of their own in this order."""
    for sequence in sequences:
        assert slots.seat(sequence, (), 1)
    return sequences


@pytest.mark.parametrize(
    ("holders", "newcomer", "planned", "expected"),
    [
        ([], READS, (), 0),
        ([None], READS, (), 1),
        ([None, None], READS, (), 0),
        ([None, None], READS, (0,), 1),
        ([None, None], READS, (0, 1), None),
        ([None, {}], READS, (), 0),
        ([READS, None], READS, (), 1),
        ([READS, None], {}, (), 1),
        ([READS, READS], READS, (), None),
        ([{}, {}], {}, (), None),
    ],
    ids=str,
)
def test_which_slot_a_newcomer_gets(holders, newcomer, planned, expected):
    """A free one; else that of whoever may go and is not in the step that is being planned."""
    slots = Slots(noting()[1], 2)
    there = [idle([1, 2]) if run is None else running(run=run) for run in holders]
    seated(slots, *there)
    sequence = running(run=newcomer)
    assert slots.seat(sequence, [there[i] for i in planned], NOW) is (expected is not None)
    assert sequence.slot == expected
    if expected is not None:
        assert [each for each in there if each.slot == expected] == []
        assert sequence in slots.holders()


def test_reproducible_sequences_have_places_apart():
    """Others never have them, and they never those of others."""
    slots = Slots(noting(n_sequences=1, n_apart=1)[1], 2)
    plain, alone = running(), running(reproducible=True)
    seated(slots, plain, alone)
    assert (plain.slot, alone.slot) == (0, 1)
    assert not slots.seat(running(), (), 2)


def test_whoever_is_seated_stays():
    """Seating again changes nothing."""
    slots = Slots(noting()[1], 2)
    (sequence,) = seated(slots, running(run={"produced": 3}))
    assert (sequence.seated_at, sequence.produced_when_seated) == (1, 3)
    assert slots.seat(sequence, (), NOW)
    assert sequence.seated_at == 1


ALIGNING = [
    # line, in memory, what the decoder does, what it is asked for, what is kept
    ("nothing yet", [1, 2, 3], [], {}, [], []),
    ("a beginning", [1, 2, 3], [1, 2], {}, [], [1, 2]),
    ("all of it", [1, 2, 3], [1, 2, 3], {}, [("truncate", 0, 2)], [1, 2]),
    ("ahead", [1, 2, 3], [1, 2, 3, 4], {}, [("truncate", 0, 2)], [1, 2]),
    ("another end", [1, 2, 3, 4], [1, 9, 9], {}, [("truncate", 0, 1)], [1]),
    ("it forgets all", [1, 2, 3, 4], [1, 2, 9], {"keeps": 0}, [("truncate", 0, 2)], []),
    ("nothing in common", [1, 2], [8, 9], {}, [("truncate", 0, 0)], []),
]


@pytest.mark.parametrize(
    ("line", "resident", "options", "calls", "kept"),
    [case[1:] for case in ALIGNING],
    ids=[case[0] for case in ALIGNING],
)
def test_how_memory_becomes_a_beginning_of_the_line(line, resident, options, calls, kept):
    """All but one token that is still to be run, and no more than the decoder really kept."""
    raw, decoder = noting(**options)
    slots = Slots(decoder, 2)
    (sequence,) = seated(slots, idle(line, resident=[]))
    sequence.resident = list(resident)
    slots.bring_in_line(sequence)
    assert (raw.calls, sequence.resident, sequence.in_line) == (calls, kept, True)
    slots.bring_in_line(sequence)
    assert raw.calls == calls


@pytest.mark.parametrize(
    ("can_shift", "calls", "kept"),
    [(True, [("shift", 0, 2, 5)], [0, 1, 5, 6, 7]), (False, [("truncate", 0, 2)], [0, 1])],
)
def test_what_the_line_forgot_is_forgotten_in_memory(can_shift, calls, kept):
    """By a shift, or by computing what came after it again."""
    raw, decoder = noting(can_shift=can_shift)
    slots = Slots(decoder, 2)
    sequence = idle(range(9), keep=2, on_context_full="shift")
    seated(slots, sequence)
    sequence.resident = list(range(8))
    sequence.shift_out(3)
    slots.bring_in_line(sequence)
    assert (raw.calls, sequence.resident) == (calls, kept)
    assert sequence.resident_dropped == 3


SHARING = [
    # what another has in memory, its settings, the newcomer's, tokens copied
    ("a long prefix", LONG, {}, {}, 39),
    ("up to where they part", [*LONG[:20], 99], {}, {}, 20),
    ("too short a prefix", LONG[:15], {}, {}, 0),
    ("just long enough", LONG[:16], {}, {}, 16),
    ("computed with something else", LONG, {"resident_adapters": ("a",)}, {}, 0),
    ("a reproducible newcomer", LONG, {}, {"reproducible": True}, 0),
]


@pytest.mark.parametrize(
    ("resident", "donor", "newcomer", "copied"),
    [case[1:] for case in SHARING],
    ids=[case[0] for case in SHARING],
)
def test_what_others_have_computed_is_copied(resident, donor, newcomer, copied):
    """If it is worth it, and would be the same."""
    raw, decoder = noting(can_copy=True)
    slots = Slots(decoder, 2)
    first, second = seated(slots, idle(resident, **donor), idle(LONG, **newcomer))
    first.resident = list(resident)
    slots.bring_in_line(second)
    expected = [("clear", 1), ("copy", 0, 1, copied)] if copied else []
    assert (raw.calls, second.resident) == (expected, LONG[:copied])


def test_nothing_is_copied_from_a_memory_that_is_not_known():
    """A call that was interrupted may have left anything in it."""
    raw, decoder = noting(can_copy=True)
    slots = Slots(decoder, 2)
    first, second = seated(slots, idle(LONG), idle(LONG))
    first.resident = list(LONG)
    slots.touch(first)
    slots.bring_in_line(second)
    assert raw.calls == []
    slots.settle(first, LONG)
    second.in_line = False
    slots.bring_in_line(second)
    assert raw.calls == [("clear", 1), ("copy", 0, 1, 39)]


def test_a_memory_that_is_not_known_is_cleared_before_it_is_used():
    """Once."""
    raw, decoder = noting()
    slots = Slots(decoder, 2)
    (sequence,) = seated(slots, idle([1, 2, 3]))
    sequence.resident = [1, 2]
    slots.touch(sequence)
    slots.bring_in_line(sequence)
    assert (raw.calls, sequence.resident) == ([("clear", 0)], [])


def test_slots_nobody_owns_are_cleared_once():
    """By the next driver, not by whoever evicts."""
    raw, decoder = noting()
    slots = Slots(decoder, 2)
    first, second = seated(slots, idle([1]), idle([2]))
    assert slots.evict(first) == 0
    assert (raw.calls, slots.holders()) == ([], [second])
    slots.clear_vacant()
    slots.clear_vacant()
    assert raw.calls == [("clear", 0)]


@pytest.mark.parametrize("half", ["seated", "evicted"])
def test_half_a_change_of_hands_is_undone(half):
    """An interrupt fell between its two stores: the slot is free and cleared."""
    raw, decoder = noting()
    slots = Slots(decoder, 2)
    (sequence,) = seated(slots, idle([1]))
    if half == "evicted":
        sequence.unseat()  # as ``evict`` does before it notes that nobody holds the slot
    else:
        sequence.slot = None  # as before ``take_slot``
    slots.clear_vacant()
    assert (raw.calls, slots.holders()) == ([("clear", 0)], [])
    assert slots.seat(sequence, (), 2)


@pytest.mark.parametrize(
    ("planned", "expected"), [((), "idle"), (("idle",), "runs"), (("idle", "runs"), None)]
)
def test_who_is_evicted_when_memory_is_full(planned, expected):
    """Whoever misses it least, and nobody whose rows are in the step."""
    slots = Slots(noting()[1], 2)
    among = {"runs": running(run=READS), "idle": idle([1, 2])}
    seated(slots, *among.values())
    found = slots.evict_one([among[name] for name in planned], running())
    assert found is (expected is not None)
    assert [name for name, each in among.items() if each.slot is None] == [expected] * found


def test_a_line_of_one_token_has_nothing_in_memory():
    """Its only token is still to be run."""
    sequence = idle(Line([7]))
    sequence.resident = [7]
    assert sequence.keepable() == 0
