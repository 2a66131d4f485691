"""Who takes part in a step, who makes way, how long a step may be: each in a small situation."""

from __future__ import annotations

import pytest

from headrace import StopReason
from headrace.engine import fairness
from headrace.engine.fairness import (
    CHUNK_SECONDS,
    MIN_CHUNK,
    PATIENCE,
    PREFILLS_ONLY,
    QUANTUM,
    Limits,
)
from tests.unit.engine.situations import idle, running

LOOKAHEAD = 2
READS = {"wanted": True}
FULL = {"produced": LOOKAHEAD}
NOW = 1000
LATELY = NOW - QUANTUM + 1
LONG_AGO = NOW - QUANTUM


def named(names, among):
    """The names under which these stand there."""
    return [name for each in names for name, other in among.items() if other is each]


@pytest.mark.parametrize(
    ("limits", "decodes", "prefills", "expected"),
    [
        ({}, 0, 1, 512),
        ({}, 1, 1, MIN_CHUNK),
        ({"seconds_per_token": CHUNK_SECONDS / 100}, 1, 1, 100),
        ({"seconds_per_token": CHUNK_SECONDS / 100}, 0, 2, 100 * PREFILLS_ONLY),
        ({"seconds_per_token": CHUNK_SECONDS / 100}, 0, 1, 512),
        ({"seconds_per_token": CHUNK_SECONDS / 100}, 3, 1, 100),
        ({"seconds_per_token": CHUNK_SECONDS / 100}, 2, 3, 150),
        ({"seconds_per_token": CHUNK_SECONDS / 100}, 1, 9, 100 * PREFILLS_ONLY),
        ({"seconds_per_token": CHUNK_SECONDS}, 1, 1, MIN_CHUNK),
        ({"seconds_per_token": 0.0}, 1, 1, 512),
        ({"max_chunk": 40}, 0, 1, 40),
        ({"max_chunk": 40, "seconds_per_token": CHUNK_SECONDS / 20}, 1, 1, 20),
        ({"interruptible": False}, 0, 1, MIN_CHUNK),
    ],
)
def test_how_much_prefill_a_step_carries(limits, decodes, prefills, expected):
    """All of the batch alone, what is affordable beside others, less where room was short."""
    assert Limits(n_batch=512, **limits).prefill(decodes, prefills) == expected


def test_the_cost_of_a_token_is_averaged():
    """Recent steps count most."""
    limits = Limits(n_batch=512)
    limits.learn(100, 1.0)
    assert limits.seconds_per_token == pytest.approx(0.01)
    limits.learn(100, 2.0)
    assert limits.seconds_per_token == pytest.approx(0.7 * 0.01 + 0.3 * 0.02)


@pytest.mark.parametrize(
    ("run", "runnable", "wanted"),
    [
        ({}, True, False),
        (READS, True, True),
        ({**READS, "produced": LOOKAHEAD - 1}, True, True),
        ({**READS, **FULL}, False, False),
        ({**READS, **FULL, "pulled": 1}, True, True),
        ({**READS, "interrupted": StopReason.CANCELLED}, False, False),
        ({**READS, "end": StopReason.EOG}, False, False),
        ({**READS, "error": ValueError()}, False, False),
        ({**READS, "report": object()}, False, False),
    ],
)
def test_what_a_step_can_bring_forward(run, runnable, wanted):
    """What is not over, and has room in its buffer."""
    sequence = running(run=run)
    assert fairness.runnable(sequence, LOOKAHEAD) is runnable
    assert fairness.wanted(sequence, LOOKAHEAD) is wanted


def test_an_idle_sequence_needs_no_step():
    """It has no generation."""
    assert not fairness.runnable(idle([1, 2]), LOOKAHEAD)
    assert not fairness.wanted(idle([1, 2]), LOOKAHEAD)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({}, ["driving"]),
        ({"unread": {"last_step": 0}}, ["driving"]),
        (
            {"late": {"last_step": NOW - PATIENCE, "run": READS}, "later": {"run": READS}},
            ["later", "driving", "later", "late"],
        ),
        (
            {"a": {"last_step": NOW - PATIENCE - 1, "run": READS}},
            ["a", "driving", "a"],
        ),
        ({"a": {"last_step": NOW - PATIENCE, "run": READS}}, ["driving", "a"]),
    ],
)
def test_whom_a_step_may_be_built_around(others, expected):
    """The driver's own, after one reader that was passed over too often; then those that wait."""
    among = {name: running(**fields) for name, fields in others.items()}
    among["driving"] = running(last_step=NOW - PATIENCE + 1, run=READS)
    found = fairness.leads(list(among.values()), among["driving"], NOW)
    assert named(found, among) == expected


def test_the_driver_is_not_passed_over_for_one_that_has_waited_less():
    """Longer than patience both of them: the driver's own comes first."""
    driving, other = running(last_step=1, run=READS), running(last_step=2, run=READS)
    assert fairness.leads([other, driving], driving, NOW) == [driving, other]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"old": {"last_step": 1}, "new": {"last_step": 2}}, ["lead", "old", "new"]),
        (
            {
                "waiting": {"last_step": 1},
                "settled": {"last_step": 2, "slot": 1, "seated_at": LATELY},
            },
            ["lead", "settled", "waiting"],
        ),
        (
            {
                "waiting": {"last_step": 1},
                "long": {"last_step": 2, "slot": 1, "seated_at": LONG_AGO},
            },
            ["lead", "waiting", "long"],
        ),
        ({"alone": {"reproducible": True}, "new": {"last_step": 2}}, ["lead", "new"]),
    ],
)
def test_who_shares_a_step(others, expected):
    """Within their quantum first, then who was in none for longest; reproducible ones never."""
    among = {name: running(**fields) for name, fields in others.items()}
    among["lead"] = running(last_step=NOW)
    assert named(fairness.batch(list(among.values()), among["lead"], NOW), among) == expected


def test_a_reproducible_sequence_has_its_step_alone():
    """Whoever else could run."""
    lead = running(reproducible=True)
    assert fairness.batch([running(), lead, running(reproducible=True)], lead, NOW) == [lead]


PRODUCTIVE = {"run": {**READS, "produced": 1}}
LONG = {"slot": 0, "seated_at": LONG_AGO}


@pytest.mark.parametrize(
    ("newcomer", "holders", "expected"),
    [
        (READS, {"idle": None}, ["idle"]),
        ({}, {"idle": None}, ["idle"]),
        ({}, {"paused": {"run": FULL}}, []),
        (READS, {"paused": {"run": FULL}}, ["paused"]),
        (READS, {"runs": {**PRODUCTIVE, **LONG}}, ["runs"]),
        (READS, {"young": {**PRODUCTIVE, "slot": 0, "seated_at": LATELY}}, []),
        (READS, {"barren": {"run": READS, **LONG}}, []),
        (READS, {"barren since": {**PRODUCTIVE, **LONG, "produced_when_seated": 1}}, []),
        (READS, {"cut": {**PRODUCTIVE, **LONG, "reproducible": True}}, []),
        (
            READS,
            {
                "cut": {
                    "run": {**READS, "produced": QUANTUM, "pulled": QUANTUM},
                    **LONG,
                    "reproducible": True,
                }
            },
            ["cut"],
        ),
        (
            READS,
            {"runs": {**PRODUCTIVE, **LONG}, "paused": {"run": FULL}, "idle": None},
            ["idle", "paused", "runs"],
        ),
    ],
)
def test_who_makes_way(newcomer, holders, expected):
    """Idle ones for anybody; one that can run only once it has got something out of its slot."""
    among = {
        name: idle([1, 2]) if fields is None else running(**fields)
        for name, fields in holders.items()
    }
    found = fairness.evictable(among.values(), running(run=newcomer), LOOKAHEAD, NOW)
    assert named(found, among) == expected


def test_who_misses_its_memory_least():
    """Idle, paused, running; among equals who was in no step for longest."""
    among = {
        "runs": running(last_step=1, run=READS),
        "paused": running(last_step=3),
        "paused before": running(last_step=2),
        "idle": idle([1, 2], last_step=9),
    }
    found = fairness.eviction_order(among.values(), LOOKAHEAD)
    assert named(found, among) == ["idle", "paused before", "paused", "runs"]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (1000, {"oldest": 60, "long": 500, "short": 5}),
        (100, {"oldest": 60, "long": 40, "short": 0}),
        (30, {"oldest": 30, "long": 0, "short": 0}),
        (0, {"oldest": 0, "long": 0, "short": 0}),
    ],
)
def test_prompts_are_computed_one_after_the_other(limit, expected):
    """Who was in no step for longest comes first."""
    wanted = {
        running(last_step=3): ("short", 5),
        running(last_step=1): ("oldest", 60),
        running(last_step=2): ("long", 500),
    }
    found = fairness.parts({each: tokens for each, (_, tokens) in wanted.items()}, limit)
    assert {wanted[each][0]: tokens for each, tokens in found.items()} == expected


def test_a_short_prompt_waits_for_one_part_of_each_before_it():
    """Not for their ends."""
    left = {running(last_step=-number): 1000 for number in range(3)}
    short = running(last_step=0)
    left[short] = 10
    steps = 0
    while left[short]:
        steps += 1
        for sequence, part in fairness.parts(left, 100).items():
            left[sequence] -= part
            if part:
                sequence.last_step = steps
    assert steps == 4
